"""dsb_fast: synthetic medical data from trained generators, fast."""

from . import leads, random
from ._api import devices, load, models
from ._dataset import generate_dataset
from ._embedding import get_cmake_dir, get_include, get_library
from ._errors import (
    CheckpointError,
    DatasetError,
    DeviceError,
    DownloadError,
    DsbError,
    GenerationError,
    InputError,
    MissingDependencyError,
    ModelError,
    VariantError,
    VerificationError,
)
from ._version import __version__

__all__ = [
    "CheckpointError",
    "DatasetError",
    "DeviceError",
    "DownloadError",
    "DsbError",
    "GenerationError",
    "InputError",
    "MissingDependencyError",
    "ModelError",
    "VariantError",
    "VerificationError",
    "__version__",
    "devices",
    "generate_dataset",
    "get_cmake_dir",
    "get_include",
    "get_library",
    "leads",
    "load",
    "models",
    "random",
]

"""dsb_fast: synthetic medical data from trained generators, fast."""

from importlib import import_module as _import_module

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
from ._models import CATEGORIES as _CATEGORIES
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

_ON_REQUEST = ("export", "formats", "ops", *_CATEGORIES)  # not torch, which may be missing


def __getattr__(name: str):
    """The modules that ``import dsb_fast`` leaves out, imported when they are first asked for."""
    if name in _ON_REQUEST:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_REQUEST})

"""The operator library for ONNX Runtime."""

from __future__ import annotations

import os

from ._errors import MissingDependencyError

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_PATH, _CUDA_PATH = (os.path.join(_FOLDER, f"libdsb_fast_ort{end}.so") for end in ("", "_cuda"))


def has_library() -> bool:
    """Whether the operator library was built."""
    return os.path.isfile(_PATH)


def library_path() -> str:
    """Path of the library with the operators of domain ``dsb_fast``.

    For ONNX Runtime's ``register_custom_ops_library``, from 1.17 on. Raises MissingDependencyError if it was not built,
    for want of ONNX Runtime's C headers.
    """
    if not has_library():
        raise MissingDependencyError(
            "the operator library is not built: ONNX Runtime's C headers were not there; set ONNXRUNTIME_INCLUDE_DIR "
            "to their folder and install dsb-fast again"
        )
    return _PATH


def has_cuda_library() -> bool:
    """Whether the operators for ONNX Runtime's CUDA provider were built (CMake's DSB_CUDA)."""
    return os.path.isfile(_CUDA_PATH)


def cuda_library_path() -> str:
    """Path of the library with the CUDA provider's operators. Raises MissingDependencyError if it was not built."""
    if not has_cuda_library():
        raise MissingDependencyError(
            "the CUDA operators are not built: install dsb-fast from source with DSB_CUDA=1 and nvcc there"
        )
    return _CUDA_PATH

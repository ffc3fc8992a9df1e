"""The operator library for ONNX Runtime."""

from __future__ import annotations

import os

from ._errors import MissingDependencyError

_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libdsb_fast_ort.so")


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

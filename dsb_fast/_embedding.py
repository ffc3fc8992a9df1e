"""Where the C library lies that the package carries (docs/embedding.md)."""

from __future__ import annotations

import os

from ._errors import MissingDependencyError

_PREFIX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_c")
_ABI = 1


def _place(*parts: str) -> str:
    path = os.path.join(_PREFIX, *parts)
    if not os.path.exists(path):
        raise MissingDependencyError(
            "the C library is not built: ONNX Runtime's C headers were not there; set ONNXRUNTIME_INCLUDE_DIR to their "
            "folder and install dsb-fast again"
        )
    return path


def get_include() -> str:
    """Folder of ``dsb_fast/dsb_fast.h`` and ``dsb_fast/dsb_fast.hpp``, for a compiler's ``-I``.

    Raises MissingDependencyError if the C library was not built.
    """
    return _place("include")


def get_library() -> str:
    """Path of the shared library. Raises MissingDependencyError if it was not built."""
    return _place("lib", f"libdsb_fast.so.{_ABI}")


def get_cmake_dir() -> str:
    """Folder for ``cmake -Ddsb_fast_DIR=``, by which ``find_package(dsb_fast CONFIG)`` finds the package.

    Raises MissingDependencyError if the C library was not built.
    """
    return _place("lib", "cmake", "dsb_fast")

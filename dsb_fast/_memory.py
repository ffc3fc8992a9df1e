"""Arrays as large as somebody asked for, refused in one line where this machine has no memory for them."""

from __future__ import annotations

import math
import os

import numpy as np

from ._errors import InputError


def of_machine() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def empty(shape: tuple[int, ...], dtype, instead: str) -> np.ndarray:
    """``np.empty`` of ``shape`` [count, ...].

    Raises InputError, which says ``instead`` of what, for more than the machine has: a larger array is often given out
    all the same, and the process killed when it is filled.
    """
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        if needed <= of_machine():
            return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # ValueError: of more than numpy can count
        pass
    raise InputError(f"count: {shape[0]} samples take {needed / 1e9:.1f} GB of memory, which are not there; {instead}")

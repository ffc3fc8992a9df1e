"""Arrays as large as somebody asked for, refused in one line where this machine has no memory for them."""

from __future__ import annotations

import contextlib
import functools
import math
import os

import numpy as np

from ._errors import InputError

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container, v2 and v1


@functools.cache
def of_machine() -> int:
    """Bytes of memory that this machine has, or the container that the process is in."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:  # "max" is no limit
            sizes.append(int(file.read()))
    return min(sizes)


def empty(shape: tuple[int, ...], dtype, instead: str) -> np.ndarray:
    """``np.empty`` of ``shape`` [count, ...].

    Raises InputError, which says ``instead`` of what, for more than the machine has: a larger array is often given out
    all the same, and the process killed when it is filled.
    """
    check("count", shape, dtype, instead)
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # ValueError: of more than numpy can count
        raise _too_large("count", shape, dtype, instead) from None


def check(name: str, shape: tuple[int, ...], dtype, instead: str) -> None:
    """Raises InputError, begun with ``name``, for an array of ``shape`` [count, ...] beyond the machine's memory."""
    if _size(shape, dtype) > of_machine():
        raise _too_large(name, shape, dtype, instead)


def _size(shape: tuple[int, ...], dtype) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _too_large(name: str, shape: tuple[int, ...], dtype, instead: str) -> InputError:
    needed = _size(shape, dtype) / 1e9
    return InputError(f"{name}: {shape[0]} samples take {needed:.1f} GB of memory, which are not there; {instead}")

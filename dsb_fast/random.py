"""Counter-based random numbers: what sample ``i`` of seed ``s`` is made from, on any machine, in any order.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The key is the seed, the counter
is (block, stream, sample index), so a value depends on nothing but seed, stream, sample number and position.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from . import _kernels, _memory
from ._errors import InputError, shown

_UINT64 = 1 << 64
_MAX_ELEMENTS = 1 << 34


def _integer(name: str, value, limit: int) -> int:
    try:
        value = operator.index(value)
    except TypeError:
        raise InputError(f"{name}: {shown(value)} is not a whole number") from None
    if not 0 <= value < limit:
        raise InputError(f"{name}: {value} is out of range; it must be from 0 to {limit - 1}")
    return value


def check_range(seed, start, count) -> tuple[int, int, int]:
    """Seed, start and count as integers, or InputError that names the one that is out of range."""
    seed, start, count = (
        _integer("seed", seed, _UINT64),
        _integer("start", start, _UINT64),
        _integer("count", count, _UINT64),
    )
    if start + count > _UINT64:
        raise InputError(f"count: samples {start} to {start + count - 1} go past the last number, {_UINT64 - 1}")
    return seed, start, count


def _buffer(seed, start, count, shape, stream) -> tuple[np.ndarray, tuple[int, ...], int, int, int]:
    seed, start, count = check_range(seed, start, count)
    stream = _integer("stream", stream, 1 << 32)
    shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    shape = tuple(_integer("shape", n, 1 << 63) for n in shape)
    elements = math.prod(shape)
    if elements > _MAX_ELEMENTS:
        raise InputError(f"shape: {elements} values a sample are too many; at most {_MAX_ELEMENTS}")
    out = _memory.empty((count, elements), np.float32, "ask for fewer at a time, with start")
    return out, (count, *shape), seed, start, stream


def _low_and_width(low, high) -> tuple[float, float]:
    """The lower end and the width of a range, each rounded to float32. Raises InputError."""
    try:
        low, high = float(low), float(high)
        with np.errstate(over="ignore"):
            begin, width = float(np.float32(low)), float(np.float32(high - low))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"low, high: {shown(low)}, {shown(high)}; they must be numbers") from None
    if not (math.isfinite(begin) and math.isfinite(width) and low < high):
        raise InputError(f"low, high: [{low}, {high}) is no range of float32; low must be below high")
    return begin, width


def uniform(seed, start, count, shape, stream=0, low=0.0, high=1.0, *, threads=0) -> np.ndarray:
    """Uniform values in [low, high) for samples ``start`` to ``start + count - 1``.

    ``low + d * u`` with ``u = (word >> 8) * 2**-24`` and ``d = high - low`` rounded once to float32; product and sum
    are each rounded to float32.

    Parameters: ``seed`` from 0 to 2**64 - 1; ``shape`` of one sample; ``stream`` the tensor it is for (0 the model's
    main input, 1 image noise, 2 second latents, 3 mean-style estimate, 4 random labels); ``threads`` 0 for all cores.

    Returns float32 ``[count, *shape]``. Raises InputError for a number out of range.

    >>> uniform(0, 0, 1, 2).shape
    (1, 2)
    """
    low, width = _low_and_width(low, high)
    threads = _integer("threads", threads, 1 << 16)
    out, full, seed, start, stream = _buffer(seed, start, count, shape, stream)
    _kernels.active_variant()  # a forced variant that can't run is reported as such
    _kernels.random_uniform(out, seed, start, stream, low, width, threads)
    return out.reshape(full)


def normal(seed, start, count, shape, stream=0, *, threads=0) -> np.ndarray:
    """Standard normal values for samples ``start`` to ``start + count - 1``.

    Box-Muller in float64 on word pairs (a, b): ``r = sqrt(-2 ln((a + 1) * 2**-32))``, elements ``r cos(2 pi b 2**-32)``
    and ``r sin(2 pi b 2**-32)``, rounded to float32.

    Parameters and errors as in :func:`uniform`. Returns float32 ``[count, *shape]``.
    """
    threads = _integer("threads", threads, 1 << 16)
    out, full, seed, start, stream = _buffer(seed, start, count, shape, stream)
    _kernels.active_variant()
    _kernels.random_normal(out, seed, start, stream, threads)
    return out.reshape(full)

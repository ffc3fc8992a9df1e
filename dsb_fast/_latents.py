"""Paths between latents: spherical and linear, through any number of end points."""

from __future__ import annotations

import math

import numpy as np

from ._errors import InputError

METHODS = ("slerp", "linear")
_MAX_VALUES = 1 << 28
_STRAIGHT = 1e-7  # sine of the angle below which two vectors have one direction, or opposite ones


def frame_count(points: int, steps: int, loop: bool) -> int:
    """Frames of a path: ``steps`` a segment, the last end point once more unless the path comes back to the first."""
    return points * steps if loop else (points - 1) * steps + 1


def path(points: np.ndarray, steps: int, method: str = "slerp", loop: bool = False) -> np.ndarray:
    """Latents on the way from point to point, float32 ``[frames, D]``.

    Frame ``k * steps`` is point ``k`` itself; between it and the next lie ``steps - 1`` at even ratios. Frames are
    ``(K - 1) * steps + 1``; with ``loop`` the way goes on to the first point and there are ``K * steps``, so that
    showing them again and again has no jump and no frame twice. Computed in float64, each value rounded once.

    ``points``: float ``[K, D]``, two at least, all finite. ``method`` "slerp" (:func:`slerp`) or "linear". Raises
    InputError.

    >>> path(np.array([[1.0, 0.0], [0.0, 1.0]]), 2).round(3).tolist()
    [[1.0, 0.0], [0.7070000171661377, 0.7070000171661377], [0.0, 1.0]]
    """
    points = _checked(points)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"steps: {steps!r}; it must be a whole number above 0")
    if method not in METHODS:
        raise InputError(f"method: '{method}' is not known; there are {', '.join(METHODS)}")
    count, size = points.shape
    frames = frame_count(count, steps, loop)
    if frames * size > _MAX_VALUES:
        raise InputError(f"steps: {frames} frames of {size} values are too many; at most {_MAX_VALUES // size} frames")
    between = slerp if method == "slerp" else linear
    out = np.empty((frames, size), np.float32)
    for k in range(frames):
        segment, step = divmod(k, steps)
        first = points[segment]
        out[k] = between(first, points[(segment + 1) % count], step / steps) if step else first
    return out


def _checked(points) -> np.ndarray:
    points = np.asarray(points)
    if points.ndim != 2 or len(points) < 2 or not points.shape[1] or points.dtype.kind not in "fiu":
        raise InputError(f"points are {points.dtype} {list(points.shape)}; a path needs numbers [2 or more, D]")
    points = points.astype(np.float64)
    if not np.isfinite(points).all():
        raise InputError("points have values that are not finite; a path needs numbers")
    return points


def linear(low: np.ndarray, high: np.ndarray, ratio: float) -> np.ndarray:
    """``(1 - t) low + t high``, float64 [D]."""
    return (1 - ratio) * low + ratio * high


def slerp(low: np.ndarray, high: np.ndarray, ratio: float) -> np.ndarray:
    """Spherical interpolation, float64 [D].

    ``(sin((1 - t) a) low + sin(t a) high) / sin(a)``, a the angle between the two (Shoemake, SIGGRAPH 1985; as White,
    arXiv:1609.04468, uses it on latents, which are not of unit length). Vectors of one direction, and a zero vector
    with any other, are mixed linearly, which is the limit. Opposite vectors have no shortest way: the half circle
    through the coordinate axis they are furthest from is taken, the length going linearly from one to the other.
    """
    length_low, length_high = _length(low), _length(high)
    if not length_low or not length_high:
        return linear(low, high, ratio)
    unit_low, unit_high = low / length_low, high / length_high
    apart, together = _length(unit_low - unit_high), _length(unit_low + unit_high)
    angle = 2 * math.atan2(apart, together)  # exact also where the arc cosine has lost all digits
    if math.sin(angle) > _STRAIGHT:
        return (math.sin((1 - ratio) * angle) * low + math.sin(ratio * angle) * high) / math.sin(angle)
    if apart < together:
        return linear(low, high, ratio)
    length = (1 - ratio) * length_low + ratio * length_high
    return length * (math.cos(math.pi * ratio) * unit_low + math.sin(math.pi * ratio) * _perpendicular(unit_low))


def _length(vector: np.ndarray) -> float:
    """Euclidean norm; the sum is rounded once, so no order of adding matters."""
    return math.sqrt(math.fsum(vector * vector))


def _perpendicular(unit: np.ndarray) -> np.ndarray:
    """A unit vector at a right angle to ``unit``, in the plane of it and the axis it is furthest from."""
    axis = np.zeros_like(unit)
    nearest = int(np.argmin(np.abs(unit)))
    axis[nearest] = 1.0
    across = axis - unit[nearest] * unit
    length = _length(across)
    return across / length if length else axis  # a single dimension has none: through zero


def seed_slerp(ratio: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What stylegan2-pytorch 1.5.10 does for its interpolations: float64 [B, D] of ``low`` and ``high`` [B, D].

    The formula of :func:`slerp`, row by row. ``ratio`` is not held to [0, 1]: the package's own goes from 0 to 8,
    beyond 1 it goes on around the circle. Rows of the same or opposite direction give values that are not numbers.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    rows = []
    for a, b in zip(low, high, strict=True):
        cosine = math.fsum(a / _length(a) * (b / _length(b)))
        angle = math.acos(max(-1.0, min(1.0, cosine)))
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.sin(np.array([(1 - ratio) * angle, ratio * angle])) / np.sin(angle)
            rows.append(shares[0] * a + shares[1] * b)
    return np.array(rows)

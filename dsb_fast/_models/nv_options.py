"""What shapes a sample of NVIDIA's and rosinality's StyleGAN2, and the numbers that it is made from."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from numbers import Real

import numpy as np

from .. import random
from .._errors import InputError, shown
from .._labels import RANDOM
from .image_model import NOISE


@dataclass(frozen=True)
class NvOptions:
    """What shapes a sample beside model, weights, seed and index.

    ``truncation_cutoff`` is the number of rows of w that are truncated, None for all. ``label`` is a class, a list of
    as many numbers as there are classes, "random", or None of a network that is not conditional. With ``numpy_seed``
    latents are numpy's of seed + index.
    """

    network: str
    truncation: float
    truncation_cutoff: int | None = None
    label: int | list[float] | str | None = None
    noise: str = "random"
    mixing: bool = False
    numpy_seed: bool = False


def check_cutoff(value, rows: int) -> int | None:
    """The option ``truncation_cutoff``. Raises InputError."""
    if value is None:
        return None
    number = _whole(value)
    if number is None or not 0 <= number <= rows:
        raise InputError(f"truncation_cutoff: {shown(value)}; it is a number of rows of w, from 0 to {rows}")
    return number


def check_label(value, labels: int) -> int | list[float] | str | None:
    """The option ``label`` of a network with so many classes; random where nobody asks for one. Raises InputError."""
    if not labels:
        if value is not None:
            raise InputError(f"label: {shown(value)}; this network is not conditional, it has no labels")
        return None
    if value is None or (isinstance(value, str) and value == RANDOM):
        return RANDOM
    number = _whole(value)
    if number is not None:
        if not 0 <= number < labels:
            raise InputError(f"label: {number}; the classes are 0 to {labels - 1}")
        return number
    return _check_vector(value, labels)


def _check_vector(value, labels: int) -> list[float]:
    """A label that is a list of numbers, each rounded to float32."""
    needed = f"it is a class, 0 to {labels - 1}, {labels} numbers, or 'random'"
    try:
        numbers = [] if isinstance(value, str) else list(value)
    except TypeError:
        numbers = []
    if len(numbers) != labels or not all(isinstance(x, Real) and not isinstance(x, bool) for x in numbers):
        raise InputError(f"label: {shown(value)}; {needed}")
    if not all(abs(x) < 1e30 for x in numbers):  # not even NaN is less
        raise InputError(f"label: {shown(value)}; its numbers must be finite and of ordinary size")
    return [float(np.float32(x)) for x in numbers]


def _whole(value) -> int | None:
    try:
        return None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        return None


def planes(seed: int, start: int, count: int, sizes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The noise planes of every layer, float32 [count, 1, h, h], by the names of their inputs."""
    ends = np.cumsum([0, *(side * side for side in sizes)]).tolist()
    joined = random.normal(seed, start, count, ends[-1], NOISE, threads=1)
    return {
        f"noise_{k}": np.ascontiguousarray(joined[:, ends[k] : ends[k + 1]]).reshape(count, 1, side, side)
        for k, side in enumerate(sizes)
    }

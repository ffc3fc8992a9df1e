"""Resample filters of StyleGAN2 as convolutions: zeros between the samples, padding and the filter's taps in one."""

from __future__ import annotations

import numpy as np


class Filter:
    """A resample filter over the axes ``x`` and ``y``, made up for the zeros between samples: ``taps`` [height, width].

    An axis has two taps or more: a single one acts as the second of two, by the families' rules of padding.
    """

    def __init__(self, taps: np.ndarray, x: bool = True, y: bool = True):
        self.x, self.y = x, y
        taps = np.pad(taps, [(int(axis and n == 1), 0) for axis, n in zip((y, x), taps.shape, strict=True)])
        self.taps = taps * (2 if x else 1) * (2 if y else 1)

    def ends(self, side: int) -> list[int]:
        """Zeros before and after each axis ([top, left, bottom, right], negative: crops) around what a transposed
        convolution of ``side`` x ``side`` taps made."""
        (height, width), half = self.taps.shape, side // 2
        before = [(n + 1) // 2 - half if axis else 0 for n, axis in ((height, self.y), (width, self.x))]
        return before + [n // 2 - half if axis else 0 for n, axis in ((height, self.y), (width, self.x))]

    @property
    def strides(self) -> list[int]:
        return [1 + self.y, 1 + self.x]

    @property
    def crops(self) -> list[int]:
        """What is too much of the transposed convolution that enlarges an image with these taps."""
        sizes = [(n, axis) for n, axis in zip(self.taps.shape, (self.y, self.x), strict=True)]
        before = [n - 1 - (n + 1) // 2 if axis else 0 for n, axis in sizes]
        return before + [n - 2 - (n - 2) // 2 if axis else 0 for n, axis in sizes]


def filters(taps: np.ndarray) -> list[Filter]:
    """The filter of a network, or one for each axis of a separable one."""
    taps = np.float64(taps)
    return [Filter(taps)] if taps.ndim == 2 else [Filter(taps[None, :], y=False), Filter(taps[:, None], x=False)]

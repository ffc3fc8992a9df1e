"""What is measured of an image, of its grey levels: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from math import sqrt

import numpy as np

_DARK, _BRIGHT = 16, 250


class Image:
    """One image, uint8 [height, width, channels]; transparency is left out. Sums are of whole numbers: exact."""

    def __init__(self, sample: np.ndarray):
        self._colours = np.asarray(sample).astype(np.int64)

    @cached_property
    def _grey(self) -> np.ndarray:
        """Thousandths of a grey level, int64 [height, width]."""
        if self._colours.shape[2] < 3:
            return self._colours[..., 0] * 1000
        red, green, blue = (self._colours[..., k] for k in range(3))
        return 299 * red + 587 * green + 114 * blue

    def mean_grey(self) -> float:
        """Mean grey level, 0 to 255."""
        return int(self._grey.sum()) / (1000 * self._grey.size)

    def contrast_grey(self) -> float:
        """Standard deviation of the grey levels (RMS contrast: Peli, JOSA A 1990)."""
        return _deviation(self._grey) / 1000.0

    def entropy_bits(self) -> float:
        """Entropy of the whole grey levels' shares, 0 to 8 bits (Shannon 1948)."""
        counts = np.bincount(((self._grey + 500) // 1000).ravel(), minlength=256)
        size = self._grey.size
        of_counts = sum(count * _log2(count) for count in counts.tolist() if count)
        return (size * _log2(size) - of_counts) / (size << _BITS)

    def sharpness_grey(self) -> float:
        """Standard deviation of the Laplacian, four neighbours less four times the pixel, of the pixels that have them.

        Its square is the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000).
        """
        grey = self._grey
        if min(grey.shape) < 3:
            return float("nan")
        around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
        return _deviation(around - 4 * grey[1:-1, 1:-1]) / 1000.0

    def dark_share(self) -> float:
        """Share of pixels with a grey level below 16."""
        return int((self._grey < 1000 * _DARK).sum()) / self._grey.size

    def bright_share(self) -> float:
        """Share of pixels with a grey level of 250 or more."""
        return int((self._grey >= 1000 * _BRIGHT).sum()) / self._grey.size


def _deviation(values: np.ndarray) -> float:
    """Standard deviation (with n) of whole numbers, rounded only at the end."""
    n, total = values.size, int(values.sum())
    return sqrt((n * int((values * values).sum()) - total * total) / (n * n))


_BITS = 40


@lru_cache(maxsize=1 << 16)
def _log2(number: int) -> int:
    """log2 in units of 2^-40, bit by bit: those of C libraries differ in the last place."""
    whole = number.bit_length() - 1
    made, rest = whole, (number << 64) >> whole  # rest / 2^64 from 1 to below 2
    for _ in range(_BITS):
        rest = rest * rest >> 64
        made <<= 1
        if rest >> 65:
            made |= 1
            rest >>= 1
    return made


# By name: what measures, and the version of how; a change of an answer is a new version, and another dataset.
IMAGE: dict[str, tuple[Callable[[Image], float], int]] = {
    measure.__name__: (measure, 1)
    for measure in (
        Image.mean_grey, Image.contrast_grey, Image.entropy_bits, Image.sharpness_grey, Image.dark_share,
        Image.bright_share,
    )
}  # fmt: skip

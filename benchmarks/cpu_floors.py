"""What a layer cannot do without, as dsb_fast computes it: multiply-adds, and bytes that cross the memory bus.

``products`` are those between the transforms (docs/kernels.md, docs/image-kernels.md), an add each. Transforms,
epilogues and exponentials are not counted: a floor is one of the algorithm that was chosen, and no layer reaches it.
``bytes``: inputs and weights read once, results written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

# Channels in and out, factor, points in and algorithm of the ECG network's layers (docs/kernels.md).
_ECG = (
    (8, 10, -2, 5000, "direct"), (10, 25, -5, 2500, "direct"), (25, 50, -2, 500, "nested"), (50, 150, -5, 250, "four"),
    (150, 250, -5, 50, "four"), (250, 250, -5, 10, "few"), (250, 250, 5, 2, "few"), (500, 150, 5, 10, "six"),
    (300, 50, 5, 50, "six"), (100, 25, 2, 250, "nested"), (50, 10, 5, 500, "six"), (10, 8, 2, 2500, "nested"),
)  # fmt: skip
# Products for so many outputs of the 5 or 13 taps that a factor leaves.
_TILES = {"four": (8, 4), "six": (10, 6), "nested": (40, 12)}
HEADS, FEATURES = 8, 64  # of an attention


@dataclass(frozen=True)
class Floor:
    """Of one sample."""

    products: float
    bytes: float

    def __add__(self, other: Floor) -> Floor:
        return Floor(self.products + other.products, self.bytes + other.bytes)

    def seconds(self, gflops: float, gigabytes: float) -> float:
        """The least time on a machine with these peaks."""
        return max(2 * self.products / gflops, self.bytes / gigabytes) / 1e9

    def intensity(self) -> float:
        """Operations a byte."""
        return 2 * self.products / self.bytes


def ecg() -> Floor:
    """The ECG network: weights stay in the caches, microvolts are written."""
    products = 0
    for inputs, outputs, factor, points, algorithm in _ECG:
        # At the lower rate: a stride leaves that many signals, a repetition that many filters.
        low = points // -factor if factor < 0 else points
        if algorithm == "few":  # 10 points to 2 and back, every pair that the taps reach: all 20 of 25 positions
            products += inputs * outputs * 20
        elif algorithm == "direct":
            products += inputs * outputs * 25 * low
        else:
            made, of = _TILES[algorithm]
            products += inputs * outputs * abs(factor) * made * ceil(low / of)
    return Floor(products, 2 * 8 * 5000)


def layer(inputs: int, outputs: int, size: int, batch: int) -> Floor:
    """A modulated 3 x 3 layer: Winograd F(4x4,3x3), for fewer than 64 outputs a plane F(2x2,3x3)."""
    tile = 4 if size * size >= 64 else 2
    tiles, points = ceil(size / tile) ** 2, (tile + 2) ** 2
    moved = 4 * (size * size * (inputs + outputs + 1) + points * inputs * outputs / batch)
    return Floor(tiles * points * inputs * outputs, moved)


def up_layer(inputs: int, outputs: int, size: int, batch: int) -> Floor:
    """The same to twice the size in phases: tiles of 3 x 3 samples, the first at -1, 25 products each."""
    tiles = ceil((size + 1) / 3) ** 2
    moved = 4 * (size * size * (inputs + 4 * outputs + 4) + 25 * inputs * outputs / batch)
    return Floor(25 * tiles * inputs * outputs, moved)


def attention(channels: int, size: int, batch: int) -> Floor:
    """Queries, keys, weighted sums of the source and what they are made to, of every head; the feed-forward."""
    a_head = FEATURES * 4 * channels
    products = size * size * (HEADS * a_head + 4 * channels * channels)
    weights = HEADS * FEATURES * 4 * channels + 4 * channels * channels
    return Floor(products, 4 * (2 * size * size * channels + weights / batch))


def gi_network(layers: list[dict], attentions: list[tuple[int, int]], batch: int) -> Floor:
    """The GI-tract network: its modulated layers and attentions. A layer's values pass through memory once."""
    floors = [layer(a["in"], a["out"], a["size"], batch) for a in layers]
    floors += [attention(channels, size, batch) for channels, size in attentions]
    return sum(floors, Floor(0, 0))

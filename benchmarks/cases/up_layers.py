"""Each up-sampling layer of NVIDIA's 256 x 256 networks with all that follows it, on all cores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import layer_peers
from harness import Comparison

from . import gi_layers

SUMMARY = "modulated 3 x 3 layers to twice the size, everything fused: dsb_fast's operator against OpenVINO f32"
COUNT = "images an alternative makes in a round (16; rounded up to whole batches of 8)"
SHAPES = Path(__file__).parent.parent / "shapes" / "up_layers.json"


def comparisons(count: int | None) -> Iterator[tuple[str, Comparison]]:
    """A layer of the public 256 x 256 configurations (min(16384 / size, 512) channels) at a time."""
    return gi_layers.compare(layer_peers.UpLayer, SHAPES, (1, 8), count or 16)

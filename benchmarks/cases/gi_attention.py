"""Both attentions of the GI-tract network with their feed-forward, on all cores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import layer_peers
from attention_block import AttentionBlock
from harness import Comparison

from .gi_layers import BASELINE, compared, in_bfloat16

SUMMARY = "attention and its feed-forward: dsb_fast's operators against OpenVINO and ONNX Runtime, also in bfloat16"
COUNT = "images an alternative makes in a round (128; rounded up to whole batches of 32)"
_TARGETS = (("dsb_fast", BASELINE, 2.0),)
SHAPES = Path(__file__).parent.parent / "shapes" / "attention.json"


def comparisons(count: int | None) -> Iterator[tuple[str, Comparison]]:
    """A block at a time, its name first; every peer's best setting."""
    for shape in json.loads(SHAPES.read_text(encoding="utf-8")):
        channels, size = shape["channels"], shape["size"]
        block = AttentionBlock(channels, size)
        published = block.published()

        def more(block=block, published=published) -> dict[str, list]:
            batches = layer_peers.BATCHES
            settings = [(batch, hint) for hint in ("LATENCY", "THROUGHPUT") for batch in batches]
            peers = [layer_peers.OpenVino(block, published, *setting) for setting in settings]
            return {f"{BASELINE}, as published": peers, **in_bfloat16(block, batches)}

        label = f"{channels} channels at {size} x {size}"
        yield label, compared(block, layer_peers.BATCHES, count or 128, more, _TARGETS)

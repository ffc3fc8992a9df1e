"""The filter [1, 3, 3, 1] at twice, half and the same size, on planes beyond the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import copy_probe
import numpy as np
import resampling_peers
from harness import Alternative, Comparison, Missing, WrongAnswer

SUMMARY = "upfirdn2d with [1, 3, 3, 1]: dsb_fast's operator against the bandwidth of a copy and torch's convolutions"
COUNT = "runs of dsb_fast in a round (5); torch, which is slow, has one"
SHAPES = Path(__file__).parent.parent / "shapes" / "upfirdn2d.json"
TOLERANCE = 1e-6  # of the largest value
_BASELINE = "copy, the faster of both stores"


class _Copy:
    """Gigabytes a second as seconds for the bytes of a layer."""

    def __init__(self, size: int):
        self._size = size

    def seconds(self) -> float:
        return self._size / 1e9 / max(copy_probe.gigabytes(s) for s in ("plain", "non_temporal"))


class _Measured(Alternative):
    """An alternative that times itself."""

    def seconds(self) -> float:
        return self.run()


def comparisons(count: int | None) -> Iterator[tuple[str, Comparison]]:
    """A shape and a way of resampling at a time, its name first."""
    if find_spec("onnxruntime") is None:
        raise Missing("dsb_fast: onnxruntime is not installed; pip install '.[cpu]'")
    runs = count or 5
    for shape in json.loads(SHAPES.read_text()):
        layer = resampling_peers.Layer(shape["kind"], shape["batch"], shape["channels"], shape["size"])
        peers = {"dsb_fast": resampling_peers.Fused(layer)}
        missing = {}
        if find_spec("torch") is None:
            missing["torch, grouped convolution"] = "torch is not installed; pip install '.[torch]'"
        else:
            peers["torch, grouped convolution"] = resampling_peers.Torch(layer)
        said = []
        expected = layer.exact()
        for name, peer in peers.items():
            error = np.abs(peer.result()[:1, :4] - expected).max() / np.abs(expected).max()
            if not error <= TOLERANCE:
                raise WrongAnswer(f"{name}: off by {error:.1e} of the largest value, above {TOLERANCE}")
            said.append(f"{name} {error:.1e}")
        work = layer.bytes / 1e9
        alternatives = []
        for name, peer in peers.items():
            times = runs if name == "dsb_fast" else 1
            alternatives.append(
                Alternative(name, lambda peer=peer, n=times: [peer.run() for _ in range(n)], times * work)
            )
        alternatives.append(_Measured(_BASELINE, _Copy(layer.bytes).seconds, work))
        label = "{kind}, [{batch}, {channels}, {size}, {size}]".format(**shape)
        yield (
            label,
            Comparison(
                "GB/s", _BASELINE, alternatives, "of the largest value, from float64: " + ", ".join(said), missing
            ),
        )

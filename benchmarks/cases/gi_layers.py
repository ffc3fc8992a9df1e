"""Each modulated 3 x 3 layer of the GI-tract network with all that follows it, on all cores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import layer_peers
import numpy as np
from harness import Alternative, Comparison, Missing, WrongAnswer, fastest

from dsb_fast import ops

SUMMARY = "modulated 3 x 3 layers, everything fused: dsb_fast's operator against OpenVINO f32 and ONNX Runtime"
COUNT = "images an alternative makes in a round (128; rounded up to whole batches of 32)"
SHAPES = Path(__file__).parent.parent / "shapes" / "gi_layers.json"
TOLERANCE, _LOOSE = 2e-5, 5e-2  # relative L2; the second of bfloat16
BASELINE = "OpenVINO f32"
_OWN_BF16, _OPENVINO_BF16 = "dsb_fast bf16", "OpenVINO bf16"
_TARGETS = (("dsb_fast", BASELINE, 2.4), (_OWN_BF16, _OPENVINO_BF16, 1.7))


def _contenders(layer, batches: tuple[int, ...], missing: dict[str, str]) -> dict[str, list]:
    """Every peer with its settings to choose from."""
    if find_spec("openvino") is None:
        raise Missing(f"{BASELINE}: openvino is not installed; pip install '.[bench]'")
    portable = {form: layer.portable(form) for form in layer.forms}
    found = {
        "dsb_fast": [layer_peers.OnnxRuntime(layer, layer.fused(), b, str(ops.library_path())) for b in batches],
        BASELINE: [
            layer_peers.OpenVino(layer, graph, b, hint, form)
            for form, graph in portable.items()
            for hint in ("LATENCY", "THROUGHPUT")
            for b in batches
        ],
    }
    if find_spec("onnxruntime") is None:
        missing["ONNX Runtime"] = "onnxruntime is not installed; pip install '.[cpu]'"
    else:
        found["ONNX Runtime"] = [
            layer_peers.OnnxRuntime(layer, graph, b, form=form) for form, graph in portable.items() for b in batches
        ]
    return found


def _check(layer, contenders: dict[str, list]) -> str:
    """Relative L2 of every peer from float64 for one sample of each batch.

    Raises WrongAnswer above the tolerance; bfloat16 is above it and only told.
    """
    expected, said = layer.exact(1)[0], []
    for name, peers in contenders.items():
        errors = [np.linalg.norm(p.result()[0] - expected) / np.linalg.norm(expected) for p in peers]
        if not max(errors) <= (_LOOSE if name in (_OWN_BF16, _OPENVINO_BF16) else TOLERANCE):
            raise WrongAnswer(f"{name}: relative L2 {max(errors):.1e} from float64, which is too much")
        said.append(f"{name} {max(errors):.1e}")
    return "relative L2 from float64: " + ", ".join(said)


def compared(
    layer, batches: tuple[int, ...], count: int, more: Callable[[], dict[str, list]] = dict, targets=_TARGETS
) -> Comparison:
    """dsb_fast's operators for ``layer`` beside the others, in each one's best setting; ``more`` makes other peers."""
    block = max(batches)
    count = -(-count // block) * block
    missing: dict[str, str] = {}
    contenders = _contenders(layer, batches, missing) | more()
    checked = _check(layer, contenders)
    alternatives = []
    for name, peers in contenders.items():
        peer = fastest(peers, block)
        alternatives.append(Alternative(name, lambda peer=peer: peer.run(count), count, setting=peer.setting))
    return Comparison("images/s", BASELINE, alternatives, checked, missing, targets=targets)


def in_bfloat16(layer, batches: tuple[int, ...]) -> dict[str, list]:
    """Both sides with bfloat16 products."""
    graph, portable, library = layer.fused("bfloat16"), layer.portable(), str(ops.library_path())
    hints = ("LATENCY", "THROUGHPUT")
    try:
        theirs = [layer_peers.OpenVino(layer, portable, b, hint, "", "bf16") for hint in hints for b in batches]
    except RuntimeError:  # a processor, or ONEDNN_MAX_CPU_ISA, without bfloat16
        return {}
    return {
        _OWN_BF16: [layer_peers.OnnxRuntime(layer, graph, b, library) for b in batches],
        _OPENVINO_BF16: theirs,
    }


def compare(kind: type, shapes: Path, batches: tuple[int, ...], count: int) -> Iterator[tuple[str, Comparison]]:
    """A layer at a time, its name first; every peer's best setting."""
    for shape in json.loads(shapes.read_text()):
        layer = kind(shape["in"], shape["out"], shape["size"], max(batches))
        label = "{in} to {out} channels at {size} x {size}".format(**shape)
        more = {} if layer.up > 1 else in_bfloat16(layer, batches)
        yield label, compared(layer, batches, count, lambda more=more: more)


def comparisons(count: int | None) -> Iterator[tuple[str, Comparison]]:
    """The network's layers."""
    return compare(layer_peers.Layer, SHAPES, layer_peers.BATCHES, count or 128)

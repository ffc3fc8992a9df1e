"""Random numbers of a model's inputs as a graph of its own: drawn on the device, where the network reads them.

Apart from the network's graph, because seed and first number are read on the host, and a captured CUDA graph would
draw those that it was captured with.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import onnx
from onnx import TensorProto

from dsb_fast._models.on_device import Draw

from .cuda_graph import CudaGraph, cuda_model

NUMBERS = ("seed", "start", "count")  # inputs, uint64


def build(draws: Sequence[Draw], channels_last: Collection[str] = ()) -> onnx.ModelProto:
    """Inputs ``seed``, ``start``, ``count``, a uint64 each; outputs float32 [count, *shape] by name.

    Those in ``channels_last``, each alone in its stream, are the same numbers as [count, *shape[1:], shape[0]].
    """
    g = CudaGraph()
    outputs = {}
    for draw in draws:
        _draw(g, draw, channels_last)
        outputs |= {name: ["count", *_placed(name, shape, channels_last)] for name, shape in draw.shapes.items()}
    kinds = dict.fromkeys(NUMBERS, TensorProto.UINT64)
    return cuda_model(g, "draws", {name: [] for name in NUMBERS}, outputs, kinds)


def _placed(name: str, shape: tuple[int, ...], channels_last: Collection[str]) -> tuple[int, ...]:
    return (*shape[1:], shape[0]) if name in channels_last else shape


def _draw(g: CudaGraph, draw: Draw, channels_last: Collection[str]) -> None:
    limits = {} if draw.kind == "normal" else {"low": draw.low, "high": draw.high}
    op = {"normal": "PhiloxNormal", "uniform": "PhiloxUniform"}[draw.kind]
    if len(draw.shapes) == 1:
        [(name, shape)] = draw.shapes.items()
        how = {"channels_last": 1} if name in channels_last else {}
        g.ours(op, list(NUMBERS), [name], shape=list(shape), stream=draw.stream, **limits, **how)
        return
    sizes = {name: math.prod(shape) for name, shape in draw.shapes.items()}
    row = f"stream_{draw.stream}"
    g.ours(op, list(NUMBERS), [row], shape=[sum(sizes.values())], stream=draw.stream, **limits)
    first, axis = 0, g.shape(1)
    for name, shape in draw.shapes.items():
        ends = [g.shape(first), g.shape(first + sizes[name]), axis]
        piece = g.node("Slice", [row, *ends], f"{name}.row")
        g.node("Reshape", [piece, g.shape(0, *shape)], name)
        first += sizes[name]

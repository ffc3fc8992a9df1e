"""stylegan2-pytorch's attention blocks in graphs of flavour "cuda".

Those of 1.5.10 are products of [N, P, C] as it lies in memory; docs of the algebra are in
:mod:`dsb_fast.export.lucid_attention`. Later versions are its nodes, float32 and channels first between transpositions.
"""

from __future__ import annotations

import numpy as np

from .cuda_modulation import REACH, SUMS, clamp_of
from .lucid_attention import attention as standard_nodes
from .lucid_builder import FEATURES, HEADS, SLOPE, StandardPart
from .stylegan2_portable import clamped

_WIDTH = HEADS * FEATURES
_LOGITS = 60000.0  # what float16 holds, and something to spare


def attention(part: StandardPart, x: str, size: int) -> str:
    """The attention and its feed-forward of [N, size, size, C], or ``x`` where the block has none."""
    first, second = part.part("0.fn"), part.part("1.fn")
    if "fn.to_q.weight" not in first:
        return x
    if "fn.to_k.weight" in first and (not part.graph.half or _bears_half(first)):
        return _feed_forward(second, _attend(first, x, size))
    g = part.graph
    y = part.node("Transpose", [g.cast(x, f"{part.name}single", np.float32)], "planes", perm=[0, 3, 1, 2])
    y = part.node("Transpose", [standard_nodes(part, y, size)], "points", perm=[0, 2, 3, 1])
    if g.half:
        y = g.epilogue(y, f"{part.name}bounded", clamp=clamp_of(g, None))
    return g.cast(y, f"{part.name}half")


def _bears_half(part: StandardPart) -> bool:
    """Whether no query and no key can exceed float16, whatever the activations are: at most REACH."""
    rows = [np.abs(_matrix(part, f"fn.to_{name}")).sum(axis=1).max() for name in "qk"]
    return max(rows) * REACH < _LOGITS


def _matrix(part: StandardPart, name: str, gain=1.0) -> np.ndarray:
    """The weight of a 1 x 1 convolution as [out, in]: see StandardPart.scaled."""
    return part.scaled(f"{name}.weight", gain).reshape(part[f"{name}.weight"].shape[:2])


def _attend(part: StandardPart, x: str, size: int) -> str:
    g, points, scale = part.graph, size * size, FEATURES**-0.25
    out, channels = _matrix(part, "fn.to_out").shape[0], _matrix(part, "fn.to_q").shape[1]
    flat = part.node("Reshape", [x, g.shape(0, points, channels)], "x")
    turned = part.node("Transpose", [flat], "x.turned", perm=[0, 2, 1])
    to_k = g.constant(f"{part.name}fn.to_k.matrix", _matrix(part, "fn.to_k", scale), g.kind)
    k = part.node("Softmax", [part.node("MatMul", [to_k, turned], "k.product")], "k", axis=2)
    context = _context(part, part.node("MatMul", [k, flat], "k.x"), out, channels)
    y = part.node("MatMul", [_queries(part, flat, points, scale), context], "attention")
    y = part.node("Reshape", [y, g.shape(0, size, size, out)], "attention.map")
    return g.epilogue(y, f"{part.name}out", residual=x, clamp=clamp_of(g, None))


def _context(part: StandardPart, y: str, out: int, channels: int) -> str:
    """Each sample's matrix from queries to the output, [N, width, out], float32 until it is done: it is small."""
    g, constant = part.graph, part.graph.constant
    y = g.cast(y, f"{part.name}k.x.single", np.float32)
    y = part.node("Reshape", [y, g.shape(0, HEADS, FEATURES, channels)], "k.heads")
    to_v = _matrix(part, "fn.to_v").reshape(HEADS, FEATURES, channels).transpose(0, 2, 1)
    y = part.node("MatMul", [y, constant(f"{part.name}fn.to_v.matrix", to_v)], "k.v")
    bias = constant(f"{part.name}fn.to_v.bias", part["fn.to_v.bias"].reshape(HEADS, 1, FEATURES))
    y = part.node("Add", [y, bias], "context")
    to_out = _matrix(part, "fn.to_out", part.gain()).T.reshape(HEADS, FEATURES, out)
    y = part.node("MatMul", [y, constant(f"{part.name}fn.to_out.matrix", to_out)], "context.out")
    # q sums to 1 in each head: an eighth of the bias in every row makes one bias a position.
    bias = (np.float64(part["fn.to_out.bias"]) * part.gain() / HEADS).astype(np.float32)
    y = part.node("Add", [y, constant(f"{part.name}fn.to_out.bias", bias)], "context.biased")
    y = clamped(part, y, SUMS, "context.bounded") if g.half else y
    return g.cast(part.node("Reshape", [y, g.shape(0, _WIDTH, out)], "context.matrix"), f"{part.name}context.half")


def _queries(part: StandardPart, flat: str, points: int, scale: float) -> str:
    """[N, P, width] of ``flat`` [N, P, C], a softmax over each head's features."""
    g = part.graph
    to_q = g.constant(f"{part.name}fn.to_q.matrix", _matrix(part, "fn.to_q", scale).T, g.kind)
    y = part.node("MatMul", [flat, to_q], "q.product")
    if "fn.to_q.bias" in part:
        bias = np.float64(part["fn.to_q.bias"]) * scale
        y = part.node("Add", [y, g.constant(f"{part.name}fn.to_q.bias", np.clip(bias, -REACH, REACH), g.kind)], "q.sum")
    y = part.node("Reshape", [y, g.shape(0, points, HEADS, FEATURES)], "q.heads")
    return part.node("Reshape", [part.node("Softmax", [y], "q", axis=3), g.shape(0, points, _WIDTH)], "q.flat")


def _feed_forward(part: StandardPart, x: str) -> str:
    g, y = part.graph, x
    for layer, gain, how in (
        ("fn.0", 1.0, {"act": "lrelu", "alpha": SLOPE}),
        ("fn.2", part.gain(), {"residual": x}),
    ):
        weight = g.constant(f"{part.name}{layer}.matrix", _matrix(part, layer, gain).T, g.kind)
        bias = (np.float64(part[f"{layer}.bias"]) * gain).astype(np.float32)
        y = part.node("MatMul", [y, weight], f"{layer}.product")
        bias = g.constant(f"{part.name}{layer}.bias", bias)
        y = g.epilogue(y, f"{part.name}{layer}.out", bias=bias, clamp=clamp_of(g, None), **how)
    return y

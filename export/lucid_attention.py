"""stylegan2-pytorch's attention blocks in standard operators, versions 1.5.10 to 1.9.0.

The softmax of k sums to 1 over the positions, so that sum_p k v^T = (sum_p k x^T) Wv^T + bv: v is never made at every
position, and k's bias changes nothing. In 1.5.10 the output layer is multiplied into each sample's small matrix of
context as well. Queries have their positions first, since a softmax is fast along the last axis.
"""

from __future__ import annotations

import numpy as np

from .lucid_builder import FEATURES, HEADS, SLOPE, StandardPart

_EPS = 1e-5  # of every norm
_WIDTH = HEADS * FEATURES


def attention(part: StandardPart, x: str, size: int) -> str:
    """The attention and its feed-forward of [N, C, size, size], or ``x`` where the block has none."""
    first, second = part.part("0.fn"), part.part("1.fn")
    if "fn.to_q.weight" not in first:
        return x
    x = _attend_1_6(first, x, size) if "fn.to_kv.net.0.weight" in first else _attend_1_5(first, x, size)
    return _feed_forward(second, x, size)


def _feed_forward(part: StandardPart, x: str, size: int) -> str:
    y = _norm(part, x, size)
    y = part.node("LeakyRelu", [part.conv(y, "fn.0")], "fn.0.activated", alpha=SLOPE)
    return part.node("Add", [x, part.conv(y, "fn.2", gain=part.gain())], "out")


def _matrix(part: StandardPart, name: str, values: np.ndarray) -> str:
    return part.graph.constant(part.name + name, values)


def _weight(part: StandardPart, name: str, gain=1.0) -> np.ndarray:
    """The weight of a 1 x 1 convolution as [out, in], times ``gain``: see StandardPart.scaled."""
    return part.scaled(f"{name}.weight", gain).reshape(part[f"{name}.weight"].shape[:2])


def _contexts(part: StandardPart, k: str, x: str, values: np.ndarray, bias: np.ndarray | None) -> str:
    """[N, heads, features of k, features of v] of weights ``k`` [N, heads * features, P] and ``x`` [N, P, C]."""
    channels = values.shape[1]
    y = part.node("Softmax", [k], "k", axis=2)
    y = part.node("MatMul", [y, x], "k.x")
    y = part.node("Reshape", [y, part.integers(0, HEADS, FEATURES, channels)], "k.heads")
    to_v = _matrix(part, "fn.to_v.matrix", values.reshape(HEADS, FEATURES, channels).transpose(0, 2, 1))
    y = part.node("MatMul", [y, to_v], "k.v")
    if bias is None:
        return y
    return part.node("Add", [y, _matrix(part, "fn.to_v.bias", bias.reshape(HEADS, 1, FEATURES))], "context")


def _queries(part: StandardPart, x: str, size: int, gain: float) -> str:
    """[N, P, heads, features] of ``x`` [N, P, C], a softmax over the features."""
    y = part.node("MatMul", [x, _matrix(part, "fn.to_q.matrix", _weight(part, "fn.to_q", gain).T)], "q.product")
    if "fn.to_q.bias" in part:
        bias = (np.float64(part["fn.to_q.bias"]) * gain).astype(np.float32)
        y = part.node("Add", [y, _matrix(part, "fn.to_q.bias", bias)], "q.sum")
    y = part.node("Reshape", [y, part.integers(0, size * size, HEADS, FEATURES)], "q.heads")
    return part.node("Softmax", [y], "q", axis=3)


def _attend_1_5(part: StandardPart, x: str, size: int) -> str:
    points, scale = size * size, FEATURES**-0.25
    out, channels = part["fn.to_out.weight"].shape[:2][0], part["fn.to_q.weight"].shape[1]
    flat = part.node("Reshape", [x, part.integers(0, channels, points)], "x")
    turned = part.node("Transpose", [flat], "x.turned", perm=[0, 2, 1])
    to_k = _matrix(part, "fn.to_k.matrix", _weight(part, "fn.to_k", scale))
    k = part.node("MatMul", [to_k, flat], "k.product")
    y = _contexts(part, k, turned, _weight(part, "fn.to_v"), part["fn.to_v.bias"])
    to_out = _weight(part, "fn.to_out", part.gain()).T.reshape(HEADS, FEATURES, out)
    y = part.node("MatMul", [y, _matrix(part, "fn.to_out.matrix", to_out)], "context.out")
    # q sums to 1 in each head: an eighth of the bias in every row makes one bias a position.
    bias = (np.float64(part["fn.to_out.bias"]) * part.gain() / HEADS).astype(np.float32)
    y = part.node("Add", [y, _matrix(part, "fn.to_out.bias", bias)], "context.biased")
    y = part.node("Reshape", [y, part.integers(0, _WIDTH, out)], "context.matrix")
    q = part.node("Reshape", [_queries(part, turned, size, scale), part.integers(0, points, _WIDTH)], "q.flat")
    y = part.node("Add", [turned, part.node("MatMul", [q, y], "attention")], "residual")
    y = part.node("Transpose", [y], "residual.turned", perm=[0, 2, 1])
    return part.node("Reshape", [y, part.integers(0, out, size, size)], "out")


def _attend_1_6(part: StandardPart, x: str, size: int) -> str:
    """Of 1.6.0 and all later versions, which differ in what the input is normalised by."""
    points, channels = size * size, part["fn.to_q.weight"].shape[1]
    normal = _norm(part, x, size)
    near = part.conv(normal, "fn.to_kv.net.0", pads=[1] * 4, group=channels)
    flat, turned = {}, {}
    for name, map_ in (("near", near), ("x", normal)):
        flat[name] = part.node("Reshape", [map_, part.integers(0, channels, points)], f"{name}.flat")
        turned[name] = part.node("Transpose", [flat[name]], f"{name}.turned", perm=[0, 2, 1])
    to_k, to_v = np.split(_weight(part, "fn.to_kv.net.1"), 2)
    k = part.node("MatMul", [_matrix(part, "fn.to_k.matrix", to_k), flat["near"]], "k.product")
    context = _contexts(part, k, turned["near"], to_v * np.float32(FEATURES**-0.5), None)
    q = part.node("Transpose", [_queries(part, turned["x"], size, 1.0)], "q.turned", perm=[0, 2, 3, 1])
    context = part.node("Transpose", [context], "context.turned", perm=[0, 1, 3, 2])
    y = part.node("MatMul", [context, q], "attention")
    y = part.node("Reshape", [y, part.integers(0, _WIDTH, size, size)], "attention.map")
    return part.node("Add", [x, part.conv(_gelu(part, y), "fn.to_out", gain=part.gain())], "out")


def _norm(part: StandardPart, x: str, size: int) -> str:
    """What the part normalises its input to: ``x`` itself in 1.6.0 and 1.7.0, which do not.

    Means are products with shares: ONNX Runtime's ReduceMean sums in another order where the batch is one.
    """
    if "norm.weight" in part:
        return _instance_norm(part, x, size)
    return _channel_norm(part, x) if "norm.g" in part else x


def _instance_norm(part: StandardPart, x: str, size: int) -> str:
    """Mean 0 and variance 1 over the positions of a channel, then weight and bias (1.8.3 and 1.8.4)."""
    points, channels = size * size, part["norm.weight"].size
    shares = part.graph.constant(f"shares.{points}", np.full((1, points), 1 / points))
    y = part.node("Reshape", [x, part.integers(0, channels, points)], "norm.flat")
    y = part.node("Transpose", [y], "norm.turned", perm=[0, 2, 1])
    apart = part.node("Sub", [y, part.node("MatMul", [shares, y], "norm.mean")], "norm.apart")
    variance = part.node("MatMul", [shares, part.node("Mul", [apart, apart], "norm.squares")], "norm.variance")
    y = part.node("Div", [apart, _deviation(part, variance)], "norm.normal")
    y = part.node("Mul", [y, part.constant("norm.weight")], "norm.scaled")
    y = part.node("Add", [y, part.constant("norm.bias")], "norm.sum")
    y = part.node("Transpose", [y], "norm.planes", perm=[0, 2, 1])
    return part.node("Reshape", [y, part.integers(0, channels, size, size)], "norm.out")


def _deviation(part: StandardPart, variance: str) -> str:
    """What a norm divides by. 1.8.0 and its like add to the standard deviation, all others to the variance."""
    least = part.graph.constant("norm.least", _EPS)
    if part.graph.attention == "1.8.0":
        return part.node("Add", [part.node("Sqrt", [variance], "norm.root"), least], "norm.deviation")
    return part.node("Sqrt", [part.node("Add", [variance, least], "norm.least_variance")], "norm.deviation")


def _channel_norm(part: StandardPart, x: str) -> str:
    """Mean 0 and variance 1 over the channels of a position, then g and b."""
    channels = part["norm.g"].size
    shares = _matrix(part, "norm.shares", np.full((1, channels, 1, 1), 1 / channels))
    apart = part.node("Sub", [x, part.node("Conv", [x, shares], "norm.mean")], "norm.apart")
    variance = part.node("Conv", [part.node("Mul", [apart, apart], "norm.squares"), shares], "norm.variance")
    y = part.node("Div", [apart, _deviation(part, variance)], "norm.normal")
    y = part.node("Mul", [y, part.constant("norm.g", 1, -1, 1, 1)], "norm.scaled")
    return part.node("Add", [y, part.constant("norm.b", 1, -1, 1, 1)], "norm.out")


def _gelu(part: StandardPart, x: str) -> str:
    constant = part.graph.constant
    y = part.node("Erf", [part.node("Div", [x, constant("gelu.root", 2**0.5)], "gelu.scaled")], "gelu.erf")
    y = part.node("Mul", [x, part.node("Add", [y, constant("gelu.one", 1)], "gelu.sum")], "gelu.twice")
    return part.node("Mul", [y, constant("gelu.half", 0.5)], "gelu")

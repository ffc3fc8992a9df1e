"""Attention of linear cost with the convolutions of one point before and behind it."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from .bias_act import reference as bias_act_reference
from .conv1x1 import reference as conv1x1_reference
from .feed_forward import check_others, point_weight
from .linear_attention import reference as linear_attention_reference
from .linear_attention import whole_heads

_ACTIVATIONS = ("linear", "gelu")


def reference(x, source, weights, biases, residual, heads, scales, act, gain):
    """The same in torch; ``weights`` are those of q, k, v and out, ``biases`` those of q, v and out."""
    (to_q, to_k, to_v, to_out), (q_bias, v_bias, out_bias) = weights, biases
    q = conv1x1_reference(x, to_q, q_bias, "linear", 0.0, 1.0, None)
    k, v = (conv1x1_reference(source, w, b, "linear", 0.0, 1.0, None) for w, b in ((to_k, None), (to_v, v_bias)))
    y = bias_act_reference(linear_attention_reference(q, k, v, heads, *scales), None, 1, act, None, 1.0, None)
    return conv1x1_reference(y, to_out, out_bias, "linear", 0.0, gain, residual)


def _check(op: str, x, source, weights: dict, biases: dict, residual, heads) -> tuple[int, list[list[int]]]:
    """Heads, and the weights' sizes. Raises InputError that names what does not fit."""
    shape = arguments.image_shape(op, x)
    wide, keys, values = (point_weight(op, name, weights[name], shape[1]) for name in ("to_q", "to_k", "to_v"))
    out = point_weight(op, "to_out", weights["to_out"], values)
    if keys != wide:
        raise InputError(f"{op}: to_k has {keys} outputs, needs {wide}, those of to_q")
    heads = whole_heads(op, heads, {"to_q": wide, "to_v": values})
    sizes = {"q_bias": [wide], "v_bias": [values], "out_bias": [out]}
    others = {name: (value, sizes[name]) for name, value in biases.items()}
    check_others(op, {"source": (source, shape), **others, "residual": (residual, [shape[0], out, *shape[2:]])})
    return heads, [[wide, shape[1]], [wide, shape[1]], [values, shape[1]], [out, values]]


def attention(
    x, to_q, to_k, to_v, to_out, heads, *, source=None, q_bias=None, v_bias=None, out_bias=None, q_scale=1.0,
    k_scale=1.0, out_scale=1.0, act="linear", gain=1, residual=None, products="float32", impl="auto",
):  # fmt: skip
    """``gain * (to_out act(linear_attention(q, k, v)) + out_bias) + residual``.

    ``q = to_q x + q_bias``, ``k = to_k source`` and ``v = to_v source + v_bias`` at every position; a bias of k would
    do nothing, since a softmax over the positions does not see it. :func:`linear_attention` has the formula between.
    v is never made: the weights of k sum to 1, so that v's products are made once, of sums over the positions.

    ``x``: float ``[N, I, H, W]``; ``source``: as ``x``, which it is if left out; ``to_q``, ``to_k``:
    ``[heads * features, I]``; ``to_v``: ``[heads * values, I]``; ``to_out``: ``[O, heads * values]``, all of them also
    with ``[1, 1]`` behind; ``q_bias``, ``v_bias``, ``out_bias``: a number an output or None; ``act``: ``"linear"`` or
    ``"gelu"``; ``residual``: ``[N, O, H, W]`` or None; ``products="bfloat16"`` rounds what is multiplied at every
    position (docs/image-kernels.md), and is of float32 images with ``impl="native"``. Returns ``[N, O, H, W]``. Raises
    InputError that names what does not fit. Source: Shen et al., "Efficient attention: attention with linear
    complexities", WACV 2021. Matches stylegan2-pytorch 1.5.10 with ``q_scale = k_scale = features ** -0.25`` and 1.9.0
    with ``out_scale = features ** -0.5``, ``act="gelu"`` and ``source`` :func:`depthwise_conv2d` of ``x``.

    >>> import numpy as np
    >>> one = np.ones((1, 1), np.float32)
    >>> attention(np.array([[[[1.0, 3.0]]]], np.float32), one, 0 * one, one, one, heads=1)[0, 0, 0].tolist()
    [2.0, 2.0]
    """
    op = "attention"
    weights = {"to_q": to_q, "to_k": to_k, "to_v": to_v, "to_out": to_out}
    biases = {"q_bias": q_bias, "v_bias": v_bias, "out_bias": out_bias}
    heads, sizes = _check(op, x, source, weights, biases, residual, heads)
    given = (("q_scale", q_scale), ("k_scale", k_scale), ("out_scale", out_scale))
    scales = [arguments.number(op, name, value) for name, value in given]
    gain = arguments.number(op, "gain", gain)
    if act not in _ACTIVATIONS:
        raise InputError(f"{op}: act is {act!r}; there are {', '.join(_ACTIVATIONS)}")
    native = arguments.choose(op, arguments.choose_products(op, products, impl, x), x) == "native"
    tensor = arguments.as_array(op, "x", x) if native else arguments.main_tensor(op, x)

    def read(name: str, value):
        if value is None:
            return None
        return arguments.as_array(op, name, value) if native else arguments.as_tensor(op, name, value, tensor)

    source = tensor if source is None else read("source", source)
    matrices = [read(name, v).reshape(size) for (name, v), size in zip(weights.items(), sizes, strict=True)]
    vectors = [read(name, v) for name, v in biases.items()]
    residual = read("residual", residual)
    if native:
        made = _kernels.native.attention(
            tensor, source, *matrices, *vectors, residual, heads, *scales, act == "gelu", gain, 0,
            products == "bfloat16",
        )  # fmt: skip
        return arguments.like(made, x)
    return arguments.like(reference(tensor, source, matrices, vectors, residual, heads, scales, act, gain), x)

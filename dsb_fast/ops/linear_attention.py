"""Attention of linear cost."""

from __future__ import annotations

import operator

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments


def reference(q, k, v, heads, q_scale, k_scale, out_scale):
    """The same in torch."""
    shape, positions = v.shape, v.shape[2] * v.shape[3]
    q, k, v = (t.reshape(len(t), heads, t.shape[1] // heads, positions) for t in (q, k, v))
    context = (k * k_scale).softmax(dim=3) @ v.transpose(2, 3)
    out = context.transpose(2, 3) @ (q * q_scale).softmax(dim=2)
    return (out * out_scale).reshape(shape)


def whole_heads(op: str, heads, channels: dict[str, int]) -> int:
    """``heads`` as a number that each of ``channels`` can be shared by. Raises InputError."""
    try:
        number = operator.index(heads)
    except TypeError:
        raise InputError(f"{op}: heads is {heads!r}; it needs a whole number") from None
    if number < 1:
        raise InputError(f"{op}: heads is {number}; it must be at least 1")
    for name, count in channels.items():
        if count % number:
            raise InputError(f"{op}: {name} has {count} channels, which {number} heads can't share equally")
    return number


def _check(op: str, q, k, v, heads) -> int:
    """``heads`` as a number. Raises InputError that names what does not fit."""
    shape, values = arguments.shape_of(q), arguments.shape_of(v)
    if len(shape) != 4:
        raise InputError(f"{op}: q is {shape}, needs [N, heads * features, H, W]")
    if (given := arguments.shape_of(k)) != shape:
        raise InputError(f"{op}: k is {given}, needs the shape of q, {shape}")
    if len(values) != 4 or values[:1] + values[2:] != shape[:1] + shape[2:]:
        raise InputError(
            f"{op}: v is {values}, q is {shape} and needs [{shape[0]}, heads * values, {shape[2]}, {shape[3]}]"
        )
    return whole_heads(op, heads, {"q": shape[1], "v": values[1]})


def linear_attention(q, k, v, heads, q_scale=1.0, k_scale=1.0, out_scale=1.0, *, impl="auto"):
    """Attention whose cost grows with the number of positions, not with its square.

    For each head ``out_scale * context^T softmax(q * q_scale)`` with ``context = softmax(k * k_scale) v^T``, q
    normalised over the head's features at each position, k over the positions. The largest value is subtracted before
    exponentials are taken. Heads are consecutive groups of channels.

    ``q``, ``k``: float ``[N, heads * features, H, W]``; ``v``: ``[N, heads * values, H, W]``. Returns the shape of
    ``v``. Raises InputError that names what does not fit. Source: Shen et al., "Efficient attention: attention with
    linear complexities", WACV 2021. Matches stylegan2-pytorch 1.5.10 with ``q_scale = k_scale = features ** -0.25`` and
    1.9.0 with ``out_scale = features ** -0.5``.

    >>> import numpy as np
    >>> q = k = np.zeros((1, 2, 1, 2), np.float32)
    >>> linear_attention(q, k, np.array([[[[1.0, 3.0]]]], np.float32), heads=1)[0, 0, 0].tolist()
    [2.0, 2.0]
    """
    op = "linear_attention"
    heads = _check(op, q, k, v, heads)
    given = (("q_scale", q_scale), ("k_scale", k_scale), ("out_scale", out_scale))
    scales = [arguments.number(op, name, value) for name, value in given]
    if arguments.choose(op, impl, q, name="q") == "native":
        arrays = [arguments.as_array(op, name, value) for name, value in (("q", q), ("k", k), ("v", v))]
        return arguments.like(_kernels.native.linear_attention(*arrays, heads, *scales, 0), q)
    query = arguments.main_tensor(op, q, name="q")
    key, value = arguments.as_tensor(op, "k", k, query), arguments.as_tensor(op, "v", v, query)
    return arguments.like(reference(query, key, value, heads, *scales), q)

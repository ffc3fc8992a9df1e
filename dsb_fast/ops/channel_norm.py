"""Normalisation over the channels of each position."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments


def reference(x, g, b, eps):
    """The same in torch."""
    x = x - x.mean(dim=1, keepdim=True)
    x = x - x.mean(dim=1, keepdim=True)  # what rounding left of the mean
    variance = x.square().mean(dim=1, keepdim=True)
    return x / (variance + eps).sqrt() * g[:, None, None] + b[:, None, None]


def channel_norm(x, g, b, eps=1e-5, *, impl="auto"):
    """``(x - mean) / sqrt(variance + eps) * g + b``, mean and population variance over the channels of a position.

    ``x``: float ``[N, C, H, W]``; ``g``, ``b``: ``[C]``; ``eps``: at least 0. Returns the shape of ``x``. Raises
    InputError that names what does not fit. Matches the ChanNorm of stylegan2-pytorch 1.9.0.

    >>> import numpy as np
    >>> x = np.array([1.0, 3.0], np.float32).reshape(1, 2, 1, 1)
    >>> channel_norm(x, np.ones(2, "f4"), np.zeros(2, "f4"), eps=0)[0, :, 0, 0].tolist()
    [-1.0, 1.0]
    """
    op = "channel_norm"
    shape = arguments.image_shape(op, x)
    for name, value in (("g", g), ("b", b)):
        if (given := arguments.shape_of(value)) != [shape[1]]:
            raise InputError(f"{op}: {name} is {given}, x is {shape} and needs [{shape[1]}]")
    eps = arguments.number(op, "eps", eps)
    if eps < 0:
        raise InputError(f"{op}: eps is {eps}; it can't be negative")
    if arguments.choose(op, impl, x) == "native":
        arrays = [arguments.as_array(op, name, v) for name, v in (("x", x), ("g", g), ("b", b))]
        return arguments.like(_kernels.native.channel_norm(*arrays, eps, 0), x)
    tensor = arguments.main_tensor(op, x)
    g, b = (arguments.as_tensor(op, name, v, tensor) for name, v in (("g", g), ("b", b)))
    return arguments.like(reference(tensor, g, b, eps), x)

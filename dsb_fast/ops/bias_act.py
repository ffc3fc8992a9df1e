"""Bias, activation, gain and clamp."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from . import _device


@dataclass(frozen=True)
class _Activation:
    alpha: float = 0.0
    gain: float = 1.0


_SQRT2 = math.sqrt(2.0)
ACTIVATIONS = {
    "linear": _Activation(),
    "relu": _Activation(gain=_SQRT2),
    "lrelu": _Activation(alpha=0.2, gain=_SQRT2),
    "tanh": _Activation(),
    "sigmoid": _Activation(),
    "elu": _Activation(),
    "selu": _Activation(),
    "softplus": _Activation(),
    "swish": _Activation(gain=_SQRT2),
    "gelu": _Activation(),
}


def reference(x, b, dim, act, alpha, gain, clamp):
    """The same in torch."""
    import torch
    import torch.nn.functional as f

    if b is not None:
        x = x + b.reshape([-1 if k == dim else 1 for k in range(x.ndim)])
    functions = {
        "linear": lambda v: v, "relu": torch.relu, "lrelu": lambda v: f.leaky_relu(v, alpha), "tanh": torch.tanh,
        "sigmoid": torch.sigmoid, "elu": f.elu, "selu": f.selu, "softplus": f.softplus,
        "swish": lambda v: v * torch.sigmoid(v), "gelu": f.gelu,
    }  # fmt: skip
    x = functions[act](x) * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def epilogue(op: str, act, alpha, gain, clamp) -> tuple:
    """(act, alpha, gain, clamp) with defaults put in. Raises InputError."""
    if act not in ACTIVATIONS:
        raise InputError(f"{op}: act '{act}' is not known; there are {', '.join(ACTIVATIONS)}")
    alpha = ACTIVATIONS[act].alpha if alpha is None else arguments.number(op, "alpha", alpha)
    gain = ACTIVATIONS[act].gain if gain is None else arguments.number(op, "gain", gain)
    if clamp is not None:
        clamp = arguments.number(op, "clamp", clamp)
        if clamp < 0:
            raise InputError(f"{op}: clamp is {clamp}; it can't be negative")
    return act, alpha, gain, clamp


def native_epilogue(act, alpha, gain, clamp) -> tuple:
    """:func:`epilogue` as the compiled kernels take it."""
    return act, alpha, gain, -1.0 if clamp is None else clamp


def bias_act(x, b=None, dim=1, act="linear", alpha=None, gain=None, clamp=None, *, impl="auto"):
    """``clamp(gain * act(x + b))``.

    ``x``: float array of any shape; ``b``: ``[x.shape[dim]]`` or None; ``act``: linear, relu, lrelu, tanh, sigmoid,
    elu, selu, softplus, swish or gelu (x times the normal distribution's share below x); ``alpha``: slope of lrelu
    (default 0.2); ``gain``: default sqrt(2) for relu, lrelu and swish, else 1; ``clamp``: the result stays within
    +-clamp, None for no clamp. Returns the shape of ``x``. Raises InputError that names what does not fit. Matches
    StyleGAN2-ADA's bias_act, which has no gelu.

    >>> import numpy as np
    >>> bias_act(np.array([[-1.0, 2.0]], np.float32), act="relu", gain=1).tolist()
    [[0.0, 2.0]]
    """
    op = "bias_act"
    how = epilogue(op, act, alpha, gain, clamp)
    shape = arguments.shape_of(x)
    dim = _checked_dim(op, shape, b, dim)
    chosen = arguments.choose(op, impl, x, bfloat16=True, cuda=True)
    if chosen == "cuda":
        x = x.contiguous() if b is not None and dim != 1 and arguments.is_tensor(x) else x
        return _device.call(op, x, shape, _device.operand(op, "b", b, x), dim, *native_epilogue(*how))
    if chosen == "native":
        bf16 = arguments.is_bfloat16(x)
        array = arguments.as_bits(op, "x", x) if bf16 else arguments.as_array(op, "x", x)
        channels = shape[dim] if b is not None else 1
        inner = math.prod(shape[dim + 1 :]) if b is not None else array.size
        outer = math.prod(shape[:dim]) if b is not None else 1
        bias = None if b is None else arguments.as_array(op, "b", b)
        flat = array.reshape(outer, channels, inner)
        kernel = _kernels.native.bias_act_bf16 if bf16 else _kernels.native.bias_act
        y = kernel(flat, bias, *native_epilogue(*how), 0).reshape(shape)
        return arguments.like_bits(y, x) if bf16 else arguments.like(y, x)
    tensor = arguments.main_tensor(op, x)
    bias = None if b is None else arguments.as_tensor(op, "b", b, tensor)
    return arguments.like(reference(tensor, bias, dim, *how), x)


def _checked_dim(op: str, shape: list[int], b, dim) -> int:
    if b is None:
        return 0
    try:
        dim = operator.index(dim)
    except TypeError:
        raise InputError(f"{op}: dim is {dim!r}; it needs a whole number") from None
    if not -len(shape) <= dim < len(shape):
        raise InputError(f"{op}: x is {shape} and has no dimension {dim}")
    dim %= len(shape)
    if arguments.shape_of(b) != [shape[dim]]:
        raise InputError(f"{op}: b is {arguments.shape_of(b)}, x is {shape} and needs [{shape[dim]}]")
    return dim

"""Convolutions with a kernel of one point."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from .bias_act import epilogue
from .bias_act import reference as bias_act_reference


def _check(op: str, x, weight, bias, residual) -> list[int]:
    """Shape of the result. Raises InputError that names what does not fit."""
    shape, w = arguments.image_shape(op, x), arguments.shape_of(weight)
    if len(w) not in (2, 4) or w[2:] not in ([], [1, 1]) or w[1] != shape[1]:
        raise InputError(f"{op}: weight is {w}, x is {shape} and needs [out, {shape[1]}] or [out, {shape[1]}, 1, 1]")
    result = [shape[0], w[0], *shape[2:]]
    for name, value, needed in (("bias", bias, [w[0]]), ("residual", residual, result)):
        if value is not None and (given := arguments.shape_of(value)) != needed:
            raise InputError(f"{op}: {name} is {given}, the result is {result} and needs {needed}")
    return result


def reference(x, weight, bias, act, alpha, gain, residual):
    """The same in torch."""
    y = (weight @ x.flatten(2)).unflatten(2, x.shape[2:]) if x.shape[0] else x.new_zeros(0, len(weight), *x.shape[2:])
    y = bias_act_reference(y, bias, 1, act, alpha, gain, None)
    return y if residual is None else y + residual


def conv1x1(x, weight, bias=None, act="linear", alpha=None, gain=1, *, residual=None, impl="auto"):
    """``gain * act(weight x + bias) + residual`` at every position.

    ``x``: float ``[N, I, H, W]``; ``weight``: ``[O, I]`` or ``[O, I, 1, 1]``; ``bias``: ``[O]`` or None; ``act`` and
    ``alpha`` as in :func:`bias_act`, ``gain`` 1 whatever ``act`` is; ``residual``: ``[N, O, H, W]`` or None. Returns
    ``[N, O, H, W]``. Raises InputError that names what does not fit. Matches torch.nn.Conv2d with a kernel of 1.

    >>> import numpy as np
    >>> conv1x1(np.ones((1, 2, 3, 3), "f4"), np.ones((5, 2), "f4")).shape
    (1, 5, 3, 3)
    """
    op = "conv1x1"
    act, alpha, gain, _ = epilogue(op, act, alpha, arguments.number(op, "gain", gain), None)
    rows = _check(op, x, weight, bias, residual)[1]
    if arguments.choose(op, impl, x) == "native":
        array, weight = arguments.as_array(op, "x", x), arguments.as_array(op, "weight", weight)
        bias, residual = (
            None if v is None else arguments.as_array(op, name, v)
            for name, v in (("bias", bias), ("residual", residual))
        )
        weight = weight.reshape(rows, array.shape[1])
        return arguments.like(_kernels.native.conv1x1(array, weight, bias, act, alpha, gain, residual, 0), x)
    tensor = arguments.main_tensor(op, x)
    weight, bias, residual = (
        None if v is None else arguments.as_tensor(op, name, v, tensor)
        for name, v in (("weight", weight), ("bias", bias), ("residual", residual))
    )
    weight = weight.reshape(rows, tensor.shape[1])
    return arguments.like(reference(tensor, weight, bias, act, alpha, gain, residual), x)

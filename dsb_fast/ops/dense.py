"""Fully connected layers."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from .bias_act import epilogue
from .bias_act import reference as bias_act_reference


def _check(op: str, x, weight, bias) -> None:
    """Raises InputError that names what does not fit."""
    shape, w = arguments.shape_of(x), arguments.shape_of(weight)
    if len(shape) != 2:
        raise InputError(f"{op}: x is {shape}, needs [N, features]")
    if len(w) != 2 or w[1] != shape[1]:
        raise InputError(f"{op}: weight is {w}, x is {shape} and needs [out, {shape[1]}]")
    if bias is not None and (given := arguments.shape_of(bias)) != [w[0]]:
        raise InputError(f"{op}: bias is {given}, weight is {w} and needs [{w[0]}]")


def dense(
    x, weight, bias=None, weight_gain=1.0, bias_gain=1.0, act="linear", alpha=None, gain=1, *, impl="auto"
):  # fmt: skip
    """``gain * act(x (weight * weight_gain)^T + bias * bias_gain)``.

    ``x``: float ``[N, I]``; ``weight``: ``[O, I]``; ``bias``: ``[O]`` or None; ``act`` and ``alpha`` as in
    :func:`bias_act`, ``gain`` 1 whatever ``act`` is (NVIDIA's layers have sqrt(2) for lrelu). Returns ``[N, O]``.
    Raises InputError that names what does not fit. Matches stylegan2-pytorch's EqualLinear with both gains ``lr_mul``,
    StyleGAN2-ADA's FullyConnectedLayer with ``lr_multiplier / sqrt(I)`` and ``lr_multiplier``. A mapping network is
    :func:`normalize_latent` and some of these.

    >>> import numpy as np
    >>> dense(np.ones((1, 3), "f4"), np.ones((2, 3), "f4"), np.array([0.0, -9.0], "f4"), act="lrelu").tolist()
    [[3.0, -1.2000000476837158]]
    """
    op = "dense"
    _check(op, x, weight, bias)
    weight_gain, bias_gain, gain = (
        arguments.number(op, name, value)
        for name, value in (("weight_gain", weight_gain), ("bias_gain", bias_gain), ("gain", gain))
    )
    act, alpha, gain, _ = epilogue(op, act, alpha, gain, None)
    if arguments.choose(op, impl, x) == "native":
        arrays = [arguments.as_array(op, "x", x), arguments.as_array(op, "weight", weight)]
        bias = None if bias is None else arguments.as_array(op, "bias", bias)
        return arguments.like(_kernels.native.dense(*arrays, bias, weight_gain, bias_gain, act, alpha, gain, 0), x)
    tensor = arguments.main_tensor(op, x)
    weight = arguments.as_tensor(op, "weight", weight, tensor) * weight_gain
    bias = None if bias is None else arguments.as_tensor(op, "bias", bias, tensor) * bias_gain
    return arguments.like(bias_act_reference(tensor @ weight.T, bias, 1, act, alpha, gain, None), x)

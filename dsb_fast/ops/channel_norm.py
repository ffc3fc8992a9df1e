"""Normalisation over the channels of each position, or over the positions of each channel."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments


def reference(x, g, b, eps, eps_to="variance", over=1):
    """The same in torch; ``over`` names the dimensions."""
    x = x - x.mean(dim=over, keepdim=True)
    x = x - x.mean(dim=over, keepdim=True)  # what rounding left of the mean
    variance = x.square().mean(dim=over, keepdim=True)
    divisor = variance.sqrt() + eps if eps_to == "deviation" else (variance + eps).sqrt()
    return x / divisor * g[:, None, None] + b[:, None, None]


def channel_norm(x, g, b, eps=1e-5, eps_to="variance", *, impl="auto"):
    """``(x - mean) / sqrt(variance + eps) * g + b``, mean and population variance over the channels of a position.

    ``x``: float ``[N, C, H, W]``; ``g``, ``b``: ``[C]``; ``eps``: at least 0; ``eps_to``: "variance", or "deviation" to
    divide by ``sqrt(variance) + eps``. Returns the shape of ``x``. Raises InputError that names what does not fit.
    Matches the ChanNorm of stylegan2-pytorch 1.9.0, with "deviation" that of 1.8.0.

    >>> import numpy as np
    >>> x = np.array([1.0, 3.0], np.float32).reshape(1, 2, 1, 1)
    >>> channel_norm(x, np.ones(2, "f4"), np.zeros(2, "f4"), eps=0)[0, :, 0, 0].tolist()
    [-1.0, 1.0]
    """
    op = "channel_norm"
    if eps_to not in ("variance", "deviation"):
        raise InputError(f"{op}: eps_to is {eps_to!r}; it can be 'variance' or 'deviation'")
    how = {"eps": _checked(op, x, g, b, eps), "eps_to_deviation": eps_to == "deviation", "threads": 0}
    return _run(op, x, g, b, impl, how, lambda *tensors: reference(*tensors, how["eps"], eps_to))


def instance_norm(x, g, b, eps=1e-5, *, impl="auto"):
    """``(x - mean) / sqrt(variance + eps) * g + b``, mean and population variance over the positions of a channel.

    ``x``: float ``[N, C, H, W]``; ``g``, ``b``: ``[C]``; ``eps``: at least 0. Returns the shape of ``x``. Raises
    InputError that names what does not fit. Matches torch's InstanceNorm2d, which stylegan2-pytorch 1.8.3 and 1.8.4
    normalise attention's input by.

    >>> import numpy as np
    >>> x = np.array([1.0, 3.0], np.float32).reshape(1, 1, 1, 2)
    >>> instance_norm(x, np.ones(1, "f4"), np.ones(1, "f4"), eps=0).ravel().tolist()
    [0.0, 2.0]
    """
    op = "instance_norm"
    how = {"eps": _checked(op, x, g, b, eps), "threads": 0}
    return _run(op, x, g, b, impl, how, lambda *tensors: reference(*tensors, how["eps"], over=(2, 3)))


def _checked(op, x, g, b, eps) -> float:
    """``eps``, where all of them fit."""
    shape = arguments.image_shape(op, x)
    for name, value in (("g", g), ("b", b)):
        if (given := arguments.shape_of(value)) != [shape[1]]:
            raise InputError(f"{op}: {name} is {given}, x is {shape} and needs [{shape[1]}]")
    eps = arguments.number(op, "eps", eps)
    if eps < 0:
        raise InputError(f"{op}: eps is {eps}; it can't be negative")
    return eps


def _run(op, x, g, b, impl, how, torch_reference):
    if arguments.choose(op, impl, x) == "native":
        arrays = [arguments.as_array(op, name, v) for name, v in (("x", x), ("g", g), ("b", b))]
        return arguments.like(getattr(_kernels.native, op)(*arrays, **how), x)
    tensor = arguments.main_tensor(op, x)
    g, b = (arguments.as_tensor(op, name, v, tensor) for name, v in (("g", g), ("b", b)))
    return arguments.like(torch_reference(tensor, g, b), x)

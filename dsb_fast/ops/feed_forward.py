"""Two convolutions with a kernel of one point: what follows an attention."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from .conv1x1 import reference as conv1x1_reference


def reference(x, w1, b1, w2, b2, slope, gain, residual):
    """The same in torch."""
    y = conv1x1_reference(x, w1, b1, "lrelu", slope, 1.0, None)
    return conv1x1_reference(y, w2, b2, "linear", 0.0, gain, residual)


def point_weight(op: str, name: str, weight, inputs: int) -> int:
    """Rows of the weight of a convolution of one point. Raises InputError that names what does not fit."""
    shape = arguments.shape_of(weight)
    if len(shape) not in (2, 4) or shape[2:] not in ([], [1, 1]) or shape[1] != inputs or 0 in shape:
        raise InputError(f"{op}: {name} is {shape}, needs [out, {inputs}] or [out, {inputs}, 1, 1], no size 0")
    return shape[0]


def check_others(op: str, needed: dict) -> None:
    """``needed``: name -> (array or None, its shape). Raises InputError that names what does not fit."""
    for name, (value, shape) in needed.items():
        if value is not None and (given := arguments.shape_of(value)) != shape:
            raise InputError(f"{op}: {name} is {given}, needs {shape}")


def feed_forward(x, w1, b1, w2, b2, slope=0.2, gain=1, *, residual=None, products="float32", impl="auto"):
    """``gain * (w2 lrelu(w1 x + b1) + b2) + residual`` at every position.

    ``x``: float ``[N, I, H, W]``; ``w1``: ``[M, I]`` or ``[M, I, 1, 1]``; ``w2``: ``[O, M]`` or ``[O, M, 1, 1]``;
    ``b1``, ``b2``: ``[M]`` and ``[O]`` or None; ``slope``: that of the leaky ReLU below 0; ``residual``:
    ``[N, O, H, W]`` or None; ``products="bfloat16"`` rounds what is multiplied, ``x`` less the mean of its plane, as
    :func:`attention` does. Returns ``[N, O, H, W]``. Raises InputError that names what does not fit. Matches what
    follows an attention of stylegan2-pytorch.

    >>> import numpy as np
    >>> feed_forward(np.ones((1, 2, 3, 3), "f4"), np.ones((5, 2), "f4"), None, np.ones((1, 5), "f4"), None)[0, 0, 0]
    array([10., 10., 10.], dtype=float32)
    """
    op = "feed_forward"
    shape = arguments.image_shape(op, x)
    hidden = point_weight(op, "w1", w1, shape[1])
    rows = point_weight(op, "w2", w2, hidden)
    result = [shape[0], rows, *shape[2:]]
    check_others(op, {"b1": (b1, [hidden]), "b2": (b2, [rows]), "residual": (residual, result)})
    slope, gain = arguments.number(op, "slope", slope), arguments.number(op, "gain", gain)
    given = {"w1": w1, "b1": b1, "w2": w2, "b2": b2, "residual": residual}
    if arguments.choose(op, arguments.choose_products(op, products, impl, x), x) == "native":
        array = arguments.as_array(op, "x", x)
        first, *others = (None if v is None else arguments.as_array(op, name, v) for name, v in given.items())
        b1, second, b2, residual = others
        matrices = first.reshape(hidden, shape[1]), b1, second.reshape(rows, hidden), b2
        made = _kernels.native.feed_forward(array, *matrices, slope, gain, residual, 0, products == "bfloat16")
        return arguments.like(made, x)
    tensor = arguments.main_tensor(op, x)
    w1, b1, w2, b2, residual = (
        None if v is None else arguments.as_tensor(op, name, v, tensor) for name, v in given.items()
    )
    w1, w2 = w1.reshape(hidden, shape[1]), w2.reshape(rows, hidden)
    return arguments.like(reference(tensor, w1, b1, w2, b2, slope, gain, residual), x)

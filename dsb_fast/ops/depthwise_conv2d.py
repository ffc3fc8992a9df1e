"""A convolution that keeps the channels apart."""

from __future__ import annotations

import operator

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments


def reference(x, weight, padding):
    """The same in torch."""
    from torch.nn import functional

    n, c, h, w = x.shape
    if n * c * h * w == 0:  # conv2d refuses some of these
        size = [s + 2 * padding - k + 1 for s, k in zip((h, w), weight.shape[1:], strict=True)]
        return x.new_zeros((n, c, *size))
    return functional.conv2d(x, weight[:, None], padding=padding, groups=c)


def depthwise_conv2d(x, weight, padding=0, *, impl="auto"):
    """Each channel correlated with a kernel of its own, ``padding`` zeros on every side.

    ``x``: float ``[N, C, H, W]``; ``weight``: ``[C, h, w]`` or ``[C, 1, h, w]``. Returns ``[N, C, H + 2 padding - h +
    1, W + 2 padding - w + 1]``. Raises InputError that names what does not fit. Matches torch.nn.Conv2d with as many
    groups as channels and no bias.

    >>> import numpy as np
    >>> depthwise_conv2d(np.ones((1, 2, 4, 4), "f4"), np.ones((2, 3, 3), "f4"), padding=1).shape
    (1, 2, 4, 4)
    """
    op = "depthwise_conv2d"
    shape, w = arguments.image_shape(op, x), arguments.shape_of(weight)
    if w[1:-2] not in ([], [1]) or len(w) < 3 or w[0] != shape[1] or 0 in w[-2:]:
        raise InputError(f"{op}: weight is {w}, x is {shape} and needs [{shape[1]}, h, w] or [{shape[1]}, 1, h, w]")
    try:
        padding = operator.index(padding)
    except TypeError:
        raise InputError(f"{op}: padding is {padding!r}; it needs a whole number") from None
    if padding < 0:
        raise InputError(f"{op}: padding is {padding}; it can't be negative")
    if shape[2] + 2 * padding < w[-2] or shape[3] + 2 * padding < w[-1]:
        raise InputError(f"{op}: x is {shape}, too small for its padding and a kernel of {w[-2]} x {w[-1]}")
    kernel = [w[0], *w[-2:]]
    if arguments.choose(op, impl, x) == "native":
        array, weight = arguments.as_array(op, "x", x), arguments.as_array(op, "weight", weight)
        return arguments.like(_kernels.native.depthwise_conv2d(array, weight.reshape(kernel), padding, 0), x)
    tensor = arguments.main_tensor(op, x)
    weight = arguments.as_tensor(op, "weight", weight, tensor).reshape(kernel)
    return arguments.like(reference(tensor, weight, padding), x)

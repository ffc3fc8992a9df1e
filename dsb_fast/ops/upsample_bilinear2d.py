"""Bilinear enlargement to twice the size."""

from __future__ import annotations

from .. import _kernels
from . import _arguments as arguments
from . import _device


def reference(x):
    """The same in torch."""
    from torch.nn import functional

    if 0 in x.shape:
        return x.new_zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def upsample_bilinear2d(x, *, impl="auto"):
    """Twice the height and width, bilinear, corners not aligned.

    A point takes 3/4 of the nearest value and 1/4 of the next on each axis; beyond the border the border's value is
    taken.

    ``x``: float ``[N, C, H, W]``. Returns ``[N, C, 2 H, 2 W]``. Raises InputError for another shape. Matches
    torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), as stylegan2-pytorch uses it.

    >>> import numpy as np
    >>> upsample_bilinear2d(np.array([[[[0.0, 4.0]]]], np.float32))[0, 0, 0].tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    op = "upsample_bilinear2d"
    n, c, h, w = arguments.image_shape(op, x)
    chosen = arguments.choose(op, impl, x, cuda=True)
    if chosen == "cuda":
        return _device.call(op, x, [n, c, 2 * h, 2 * w])
    if chosen == "native":
        return arguments.like(_kernels.native.upsample_bilinear2d(arguments.as_array(op, "x", x), 0), x)
    return arguments.like(reference(arguments.main_tensor(op, x)), x)

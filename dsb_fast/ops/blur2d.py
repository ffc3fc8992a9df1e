"""The 3 x 3 binomial blur."""

from __future__ import annotations

from .. import _kernels
from . import _arguments as arguments


def reference(x):
    """The same in torch."""
    from torch.nn import functional

    if 0 in x.shape:
        return x.clone()
    for pad, size in (([1, 1, 0, 0], x.shape[3]), ([0, 0, 1, 1], x.shape[2])):
        x = functional.pad(x, pad, mode="reflect" if size > 1 else "replicate")
    taps = x.new_tensor([1.0, 2.0, 1.0])
    kernel = (taps[:, None] * taps / 16)[None, None].expand(x.shape[1], 1, 3, 3)
    return functional.conv2d(x, kernel, groups=x.shape[1])


def blur2d(x, *, impl="auto"):
    """A blur with [1, 2, 1] x [1, 2, 1] / 16, edges reflected about the outermost row and column.

    A single row or column has nothing to be reflected and is its own neighbour.

    ``x``: float ``[N, C, H, W]``. Returns that shape. Raises InputError for another one. Matches the Blur of
    stylegan2-pytorch (kornia's filter2d with border "reflect").

    >>> import numpy as np
    >>> blur2d(np.array([[[[0.0, 4.0]]]], np.float32))[0, 0, 0].tolist()
    [2.0, 2.0]
    """
    op = "blur2d"
    arguments.image_shape(op, x)
    if arguments.choose(op, impl, x) == "native":
        return arguments.like(_kernels.native.blur2d(arguments.as_array(op, "x", x), 0), x)
    return arguments.like(reference(arguments.main_tensor(op, x)), x)

"""Images as 8-bit grey levels."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from . import _device


def reference(image, scale, offset):
    """The same in torch; None if a value is not a number."""
    import torch

    y = image * scale + offset
    return None if y.isnan().any() else y.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def to_uint8(image, scale, offset, *, impl="auto"):
    """``image * scale + offset``, held to 0..255 and cut down: a byte a channel, channels last.

    ``scale, offset`` are 255, 0.5 for stylegan2-pytorch (black 0, white 1) and 127.5, 128 for NVIDIA's networks (black
    -1, white 1). Product and sum are rounded one after the other.

    ``image``: float ``[N, C, H, W]``. Returns uint8 ``[N, H, W, C]``. Raises InputError for another shape, or if a
    value is not a number.

    >>> import numpy as np
    >>> to_uint8(np.array([-0.5, 0.0, 0.5, 1.0, 9.0], "f4").reshape(1, 1, 1, 5), 255, 0.5)[0, 0, :, 0].tolist()
    [0, 0, 128, 255, 255]
    """
    op = "to_uint8"
    n, c, h, w = arguments.image_shape(op, image, name="image")
    scale, offset = arguments.number(op, "scale", scale), arguments.number(op, "offset", offset)
    chosen = arguments.choose(op, impl, image, name="image", cuda=True)
    if chosen == "cuda":
        levels = _device.call(op, image, [n, h, w, c], scale, offset, dtype="uint8")
    elif chosen == "native":
        levels = _kernels.native.grey_levels(arguments.as_array(op, "image", image), scale, offset, 0)
    else:
        levels = reference(arguments.main_tensor(op, image, name="image"), scale, offset)
    if levels is None:
        raise InputError(f"{op}: image has values that are not numbers; only numbers have a grey level")
    return arguments.kind_of(levels, image)

"""Weights that a CUDA device keeps as its kernels take them."""

from __future__ import annotations

from .._errors import InputError
from . import _arguments as arguments
from . import _device


class PackedWeight:
    """The weight of :func:`modulated_conv2d`, for many calls with it: a CUDA device packs it once.

    ``weight``: ``[O, I, h, w]``, not written to from now on. It is packed when it first meets a type, resampling,
    padding and device, which waits for that device and can't be part of a CUDA graph; the same call again, or in a
    graph, packs nothing. Results are those of the weight itself, also where nothing is to be packed. Raises
    InputError for another shape.

    >>> import numpy as np
    >>> w = PackedWeight(np.ones((3, 2, 3, 3), "f4"))
    >>> w.shape
    [3, 2, 3, 3]
    """

    def __init__(self, weight):
        self.weight, self.shape = weight, arguments.shape_of(weight)
        if len(self.shape) != 4:
            raise InputError(f"PackedWeight: weight is {self.shape}, needs [out, in, h, w]")
        self._packed: dict[tuple, object] = {}

    def on_device(self, op: str, x, how: dict):
        """What the CUDA kernels take in its place for ``x`` and the settings ``how``."""
        taps = how["resample_filter"]
        settings = tuple(tuple(v) if isinstance(v, list) else v for k, v in how.items() if k != "resample_filter")
        filter_ = None if taps is None else (taps.shape, taps.tobytes())
        key = (_device.device_of(x), arguments.type_name(x), settings, filter_)
        if key not in self._packed:
            weight = _device.operand(op, "weight", self.weight, x)
            self._packed[key] = _device.made(op, "PackedWeight", x, weight, x, **how)
        return self._packed[key]

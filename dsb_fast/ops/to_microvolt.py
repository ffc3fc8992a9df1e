"""Signals as whole microvolts."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from . import _device


def reference(signal, scale):
    """The same in torch; None if a value is not a number."""
    import torch

    y = signal * scale
    return None if y.isnan().any() else y.clamp(-32768, 32767).to(torch.int16)


def to_microvolt(signal, scale=6000.0, *, impl="auto"):
    """``signal * scale`` cut toward zero, as int16; what does not fit becomes -32768 or 32767.

    ``signal``: float array of any shape, the output of the ECG network; ``scale``: microvolts a unit, 6000 for the
    published one. Returns int16 of that shape. Raises InputError if a value is not a number.

    >>> import numpy as np
    >>> to_microvolt(np.array([0.00025, -0.00025, 9.0], np.float32)).tolist()
    [1, -1, 32767]
    """
    op = "to_microvolt"
    scale = arguments.number(op, "scale", scale)
    chosen = arguments.choose(op, impl, signal, name="signal", cuda=True)
    if chosen == "cuda":
        microvolt = _device.call(op, signal, arguments.shape_of(signal), scale, dtype="int16")
    elif chosen == "native":
        array = arguments.as_array(op, "signal", signal)
        microvolt = np.empty(array.shape, np.int16)
        if not _kernels.native.microvolt(array, scale, microvolt):
            microvolt = None
    else:
        microvolt = reference(arguments.main_tensor(op, signal, name="signal"), scale)
    if microvolt is None:
        raise InputError(f"{op}: signal has values that are not numbers; only numbers are voltages")
    return arguments.kind_of(microvolt, signal)

"""Pulse2Pulse checkpoints: deepfake-ecg 1.1.2, ecgen 1.1.0 and the Pulse2Pulse training code.

The network (Thambawita et al., "DeepFake electrocardiograms using generative adversarial networks are the beginning of
the end for privacy issues in medicine", Scientific Reports 11:21896, 2021): six strided convolutions down, six stages
up that repeat each point and convolve, with the encoder's outputs joined in. All widths follow from ``model_size``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dsb_fast._errors import CheckpointError

from .torch_file import Tensor

TAPS = 25
PADDING = 12
LENGTH_UNIT = 2500  # the product of the strides
LEAKY_SLOPE = 0.01

# (key, stride) on the way down; (key, repetition, encoder output that is joined in) on the way up.
ENCODER = (("conv_1", 2), ("conv_2", 5), ("conv_3", 2), ("conv_4", 5), ("conv_5", 5), ("conv_6", 5))
DECODER = (
    ("deconv_1", 5, None),
    ("deconv_2", 5, "conv_5"),
    ("deconv_3", 5, "conv_4"),
    ("deconv_5", 2, "conv_3"),
    ("deconv_6", 5, "conv_2"),
    ("deconv_7", 2, None),
)

_LAYOUTS = ("netG_state_dict", "state_dict", "stat_dict")
_SPELLINGS = {"Conv1dTrans": "conv1d_transpose", "ppfilter1": "post_proc_filter"}
# In the files, but used by neither package on the way from noise to signal.
_UNUSED = ("fc1.", "post_proc_filter.", *(f"{name}.conv1d_transpose." for name, *_ in DECODER))


@dataclass(frozen=True)
class Layer:
    """One convolution: weight float32 [out, in, 25], bias float32 [out]."""

    name: str
    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Pulse2Pulse:
    """A checked network. ``layers`` is keyed by the names in ENCODER and DECODER."""

    leads: int
    model_size: int
    layers: dict[str, Layer]


def _widths(model_size: int, leads: int) -> dict[str, tuple[int, int]]:
    """(out, in) channels of every layer."""
    d = model_size
    down = [leads, d // 5, d // 2, d, 3 * d, 5 * d, 5 * d]
    widths = {name: (down[k + 1], down[k]) for k, (name, _) in enumerate(ENCODER)}
    widths["deconv_1"] = (5 * d, 5 * d)
    widths["deconv_2"] = (3 * d, 10 * d)
    widths["deconv_3"] = (d, 6 * d)
    widths["deconv_5"] = (d // 2, 2 * d)
    widths["deconv_6"] = (d // 5, 2 * (d // 2))
    widths["deconv_7"] = (leads, d // 5)
    return widths


def looks_like(tree: Any) -> bool:
    """Whether an object tree is such a checkpoint, whole or not."""
    return isinstance(tree, dict) and any(name.startswith(("conv_", "deconv_")) for name in _state_dict(tree))


def _state_dict(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise CheckpointError("it holds no state dict")
    for layout in _LAYOUTS:
        if isinstance(tree.get(layout), dict):
            tree = tree[layout]
            break
    state = {}
    for key, value in tree.items():
        name = str(key).removeprefix("module.")
        for old, new in _SPELLINGS.items():
            name = name.replace(old, new)
        if not name.startswith(_UNUSED):
            state[name] = value
    return state


def _prefix(name: str) -> str:
    return f"{name}.conv1d" if name.startswith("deconv") else name


def from_tree(tree: Any) -> Pulse2Pulse:
    """The network of a checkpoint's object tree. Raises CheckpointError, one line that names all that is wrong."""
    state = _state_dict(tree)
    first, third = state.get("conv_1.weight"), state.get("conv_3.weight")
    for name, tensor in (("conv_1.weight", first), ("conv_3.weight", third)):
        if not isinstance(tensor, Tensor) or len(tensor.shape) != 3:
            some = ", ".join(sorted(map(str, state))[:4]) or "nothing"
            raise CheckpointError(f"it is no Pulse2Pulse generator: no tensor {name} [out, in, {TAPS}]; it has {some}")
    leads, model_size = first.shape[1], third.shape[0]
    if model_size < 5 or leads < 1:
        raise CheckpointError(f"it is no Pulse2Pulse generator: model size {model_size}, {leads} leads")

    wrong: list[str] = []
    layers: dict[str, Layer] = {}
    expected: set[str] = set()
    for name, (out_channels, in_channels) in _widths(model_size, leads).items():
        arrays = {}
        for part, shape in (("weight", (out_channels, in_channels, TAPS)), ("bias", (out_channels,))):
            key = f"{_prefix(name)}.{part}"
            expected.add(key)
            tensor = state.get(key)
            if not isinstance(tensor, Tensor):
                wrong.append(f"{key} is missing")
            elif tensor.shape != shape:
                wrong.append(f"{key} is {list(tensor.shape)}, needs {list(shape)}")
            elif not tensor.is_floating:
                wrong.append(f"{key} is not floating point")
            else:
                arrays[part] = tensor.numpy().astype(np.float32)
                if not np.isfinite(arrays[part]).all():
                    wrong.append(f"{key} has values that are not finite")
        if len(arrays) == 2:
            layers[name] = Layer(name, arrays["weight"], arrays["bias"])
    wrong += [f"{key} is not part of this network" for key in state if key not in expected]
    if wrong:
        raise CheckpointError(f"Pulse2Pulse of model size {model_size}: " + "; ".join(wrong))
    return Pulse2Pulse(leads, model_size, layers)

"""What the init_kwargs of an NVIDIA StyleGAN2 ask for: known names, checked values, the repositories' defaults.

The two repositories spell the same network differently: stylegan2-ada-pytorch has the arguments of the synthesis
network in ``synthesis_kwargs``, the stylegan3 repository beside the others, with other defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .float_arrays import shown

SMALLEST, LARGEST = 8, 2048  # pixels
MOST_LAYERS = 64  # of the mapping network
ACTIVATIONS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")
ARCHITECTURES = ("skip", "resnet", "orig")
POSITIONAL = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")


@dataclass(frozen=True)
class MappingSettings:
    """The mapping network: ``num_layers`` layers from z and the embedded label to w.

    ``embed_features`` is 0 without labels. ``w_avg_beta`` is None where no mean of w was tracked.
    """

    num_layers: int
    embed_features: int
    layer_features: int
    activation: str
    lr_multiplier: float
    w_avg_beta: float | None


@dataclass(frozen=True)
class SynthesisSettings:
    """The synthesis network. ``channels`` are those that the block of each resolution makes.

    ``resample_filter`` is what the file gives, before normalising: taps, rows of taps, or None. ``conv_clamp`` is None
    where nothing is clamped; ``num_fp16_res`` resolutions, the highest, ran in float16 on a GPU.
    """

    channels: dict[int, int]
    kernel_size: int
    conv_clamp: float | None
    use_noise: bool
    activation: str
    resample_filter: tuple | None
    num_fp16_res: int


def filter_taps(taps: tuple | None) -> np.ndarray:
    """The float32 filter that the repositories make of taps: normalised, separable from 8 taps on."""
    values = np.asarray([1] if taps is None else taps, np.float32)
    if values.ndim == 1 and values.size < 8:
        values = np.multiply.outer(values, values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return values / np.float32(values.sum())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e9 and math.isfinite(value)


def _whole(low: int, high: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: type(value) is int and low <= value <= high, f"a whole number from {low} to {high}"


def _optional(check: tuple[Callable[[Any], bool], str]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value is None or check[0](value), check[1] + ", or None"


def _one_of(names: tuple[str, ...]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: isinstance(value, str) and value in names, "one of " + ", ".join(names)


def _is_taps(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= 64:
        return False
    rows = [value] if not isinstance(value[0], (list, tuple)) else value
    if not all(isinstance(row, (list, tuple)) and len(row) == len(rows[0]) and 1 <= len(row) <= 64 for row in rows):
        return False
    numbers = [number for row in rows for number in row]
    return all(map(_is_number, numbers)) and abs(sum(numbers)) > 1e-6


_FLAG = (lambda value: type(value) is bool), "true or false"
_SIZE = _whole(1, 1 << 16)
_CLAMP = (lambda value: _is_number(value) and value >= 0), "a number that is not negative"
_RATE = (lambda value: _is_number(value) and 1e-6 <= value <= 1e3), "a number from 1e-06 to 1000"
_BETA = (lambda value: _is_number(value) and 0 <= value <= 1), "a number from 0 to 1"
_IGNORED = (lambda _: True), ""

# Of each argument: what it must be and its default. Those with _IGNORED say how a network is trained or laid out.
_NETWORK = {
    "z_dim": (_SIZE, None),
    "c_dim": (_whole(0, 1 << 16), None),
    "w_dim": (_SIZE, None),
    "img_resolution": (
        ((lambda value: type(value) is int and SMALLEST <= value <= LARGEST and value & (value - 1) == 0),
         f"a power of two from {SMALLEST} to {LARGEST}"), None,
    ),
    "img_channels": (_whole(1, 64), None),
}  # fmt: skip
_MAPPING = {
    "num_layers": (_whole(1, MOST_LAYERS), 8),
    "embed_features": (_optional(_SIZE), None),
    "layer_features": (_optional(_SIZE), None),
    "activation": (_one_of(ACTIVATIONS), "lrelu"),
    "lr_multiplier": (_RATE, 0.01),
    "w_avg_beta": (_optional(_BETA), 0.995),
}
_SYNTHESIS = {
    "channel_base": (_whole(1, 1 << 24), 32768),
    "channel_max": (_SIZE, 512),
    "num_fp16_res": (_whole(0, 64), 0),
    "architecture": (_one_of(ARCHITECTURES), "skip"),
    "resample_filter": (_optional((_is_taps, "a list of at most 64 taps with a sum, or of such lists")), [1, 3, 3, 1]),
    "conv_clamp": (_optional(_CLAMP), None),
    "fp16_channels_last": (_IGNORED, False),
    "kernel_size": (((lambda v: type(v) is int and v in (1, 3, 5, 7)), "1, 3, 5 or 7"), 3),
    "use_noise": (_FLAG, True),
    "activation": (_one_of(ACTIVATIONS), "lrelu"),
}
_SG3_MAPPING = _MAPPING | {
    "w_avg_beta": (_optional(_BETA), 0.998), "freeze_layers": (_IGNORED, 0), "freeze_embed": (_IGNORED, False),
}  # fmt: skip
_SG3_SYNTHESIS = _SYNTHESIS | {
    "num_fp16_res": (_whole(0, 64), 4), "conv_clamp": (_optional(_CLAMP), 256),
    "fused_modconv_default": (_IGNORED, True),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What init_kwargs say, defaults filled in; ``given`` are the names that they do say."""

    network: dict[str, Any]
    mapping: dict[str, Any]
    synthesis: dict[str, Any]
    given: frozenset[str]

    @property
    def resolutions(self) -> list[int]:
        """Of the blocks, 4 first."""
        return [1 << k for k in range(2, self.network["img_resolution"].bit_length())]

    def channels(self) -> dict[int, int]:
        """What channel_base and channel_max make of each block."""
        base, most = self.synthesis["channel_base"], self.synthesis["channel_max"]
        return {resolution: min(base // resolution, most) for resolution in self.resolutions}


def read(family: str, args: Any, kwargs: Any) -> tuple[Asked | None, list[str]]:
    """The arguments of a Generator of ``family`` ("ada" or "sg3repo"), or None, and all that is wrong with them."""
    if not isinstance(args, (tuple, list)) or not isinstance(kwargs, Mapping) or len(args) > len(POSITIONAL):
        return None, ["_init_args and _init_kwargs are not the arguments of a Generator"]
    wrong = [f"{name} is given twice" for name in POSITIONAL[: len(args)] if name in kwargs]
    said = {**kwargs, **dict(zip(POSITIONAL, args, strict=False))}
    mapping = _inner(said, "mapping_kwargs", wrong)
    if family == "ada":
        synthesis, tables = _inner(said, "synthesis_kwargs", wrong), (_MAPPING, _SYNTHESIS)
    else:
        synthesis = {name: said.pop(name) for name in list(said) if name not in _NETWORK}
        tables = _SG3_MAPPING, _SG3_SYNTHESIS
    found = [
        _checked(values, table, where, wrong)
        for values, table, where in (
            (said, _NETWORK, ""),
            (mapping, tables[0], "mapping_kwargs."),
            (synthesis, tables[1], "synthesis_kwargs." if family == "ada" else ""),
        )
    ]
    wrong += [f"init_kwargs lack {name}" for name in _NETWORK if name not in said]
    return (None if wrong else Asked(*found, frozenset({*said, *mapping, *synthesis}))), wrong


def _inner(said: dict, name: str, wrong: list[str]) -> dict:
    value = said.pop(name, {})
    if not isinstance(value, dict):
        wrong.append(f"{name} is {shown(value)}, needs a dict")
        return {}
    return value


def _checked(values: Mapping, table: Mapping, where: str, wrong: list[str]) -> dict[str, Any]:
    wrong += [f"init_kwargs have {where}{shown(name)}, which is not known here" for name in values if name not in table]
    for name, ((fits, needs), _) in table.items():
        if name in values and not fits(values[name]):
            wrong.append(f"{where}{name} is {shown(values[name])}, needs {needs}")
    return {name: values.get(name, default) for name, (_, default) in table.items()}

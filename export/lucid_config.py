"""What a ``.config.json`` or the caller says of a stylegan2-pytorch checkpoint, checked against its tensors.

Nothing is built from such words: the tensors tell the architecture, and whoever contradicts them is refused. Only
``lr_mlp``, which no tensor tells, is taken from them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from dsb_fast import _files, _json_text
from dsb_fast._errors import CheckpointError, InputError

from .lucid_shapes import MOST_BLOCKS, MOST_LAYERS, GeneratorShape

CONFIG = ".config.json"
LARGEST_FILE = 1 << 16  # bytes; the package writes about 160
LR_MLP = 0.1  # the package's default
_LARGEST_SIZE = 4 << MOST_BLOCKS - 1


def _is_whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _whole(low: int, high: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: _is_whole(value, low, high), f"a whole number from {low} to {high}"


def _is_size(value: Any) -> bool:
    return _is_whole(value, 4, _LARGEST_SIZE) and value & (value - 1) == 0


def _is_rate(value: Any) -> bool:
    return type(value) in (int, float) and 1e-6 <= value <= 1e3


def _is_layers(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) <= 64 and all(_is_whole(v, 1, 64) for v in value)


_FLAG = (lambda value: type(value) is bool), "true or false"
_LAYERS = _is_layers, "a list of whole numbers from 1 to 64"

# What may be said, and what it must be.
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "image_size": (_is_size, f"a power of two from 4 to {_LARGEST_SIZE}"),
    "network_capacity": _whole(1, 1 << 16),
    "fmap_max": _whole(1, 1 << 16),
    "latent_dim": _whole(1, 1 << 16),
    "style_depth": _whole(1, MOST_LAYERS),
    "lr_mlp": (_is_rate, "a number from 1e-06 to 1000"),
    "transparent": _FLAG,
    "no_const": _FLAG,
    "attn_layers": _LAYERS,
    "fq_layers": _LAYERS,  # the discriminator's, like fq_dict_size
    "fq_dict_size": _whole(1, 1 << 24),
}
OPTIONS = tuple(name for name in _CHECKS if not name.startswith("fq_"))


def read(path: str) -> dict:
    """The object in a ``.config.json``. Raises CheckpointError, one line that begins with the path."""
    try:
        too_large = os.path.getsize(path) > LARGEST_FILE
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}; remove it") from None
    if too_large:
        raise CheckpointError(f"{path}: too large to be the architecture of a checkpoint; remove it")
    data = _files.read_regular(path)
    try:
        values = _json_text.parse(data, object_pairs_hook=_once)
    except ValueError:
        raise CheckpointError(f"{path}: not JSON; remove it to have the architecture read off the tensors") from None
    try:
        _check(values, CONFIG)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {str(error).removeprefix(CONFIG + ': ')}") from None
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name twice")
    return values


def _shown(value: Any) -> str:
    return f"{value:.3g}" if type(value) is float else repr(value)[:60]


def _check(values: Any, source: str) -> None:
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{source}: not a JSON object; remove it to have the architecture read off the tensors")
    wrong = [
        f"{name} is {_shown(values[name])}, needs {needs}"
        for name, (fits, needs) in _CHECKS.items()
        if name in values and not fits(values[name])
    ]
    if wrong:
        raise CheckpointError(f"{source}: " + "; ".join(wrong))


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's options. Raises InputError for one that is unknown or of another type than it must have."""
    unknown = sorted(set(map(str, options)) - set(OPTIONS))
    if unknown:
        raise InputError(f"no option is called {', '.join(unknown)[:80]!r}; there are {', '.join(OPTIONS)}")
    values = {name: value for name, value in options.items() if value is not None}
    if type(values.get("attn_layers")) is int:
        values["attn_layers"] = [values["attn_layers"]]
    try:
        _check(values, "options")
    except CheckpointError as error:
        raise InputError(str(error)) from None
    return values


class Claims:
    """All that was said of a checkpoint, and by whom."""

    def __init__(self, config: Mapping[str, Any] | None, options: Mapping[str, Any]):
        self.said: dict[str, Mapping[str, Any]] = {}
        if config is not None:
            _check(config, CONFIG)
            self.said[f"{CONFIG} says"] = config
        self.said["it was given"] = check_options(options)

    def lr_mlp(self) -> tuple[float, bool, list[str]]:
        """The mapping's learning rate multiplier, whether it is assumed, and what is wrong with what was said."""
        rates = {source: values["lr_mlp"] for source, values in self.said.items() if "lr_mlp" in values}
        if len(set(rates.values())) > 1:
            return LR_MLP, False, [", ".join(f"{source} lr_mlp {rate}" for source, rate in rates.items())]
        return (float(next(iter(rates.values()))), False, []) if rates else (LR_MLP, True, [])

    def contradictions(self, shape: GeneratorShape, style_depth: int) -> list[str]:
        """What was said and is not what the tensors are."""
        facts = {
            "image_size": shape.image_size,
            "latent_dim": shape.latent_dim,
            "style_depth": style_depth,
            "transparent": shape.channels == 4,
            "no_const": shape.no_const,
        }
        wrong = []
        for source, values in self.said.items():
            for name, fact in facts.items():
                if values.get(name, fact) != fact:
                    wrong.append(f"{source} {name} {_shown(values[name])}, the tensors say {fact}")
            if "attn_layers" in values:
                # A layer above the first block's has an effect on the discriminator alone.
                layers = sorted({v for v in values["attn_layers"] if v <= len(shape.widths)})
                if layers != list(shape.attn_layers):
                    wrong.append(f"{source} attn_layers {layers}, the tensors say {list(shape.attn_layers)}")
            wrong += [f"{source} {text}" for text in _widths(values, shape.widths)]
        return wrong


def _widths(values: Mapping[str, Any], widths: tuple[int, ...]) -> list[str]:
    """Blocks double from twice the capacity, the last block's, up to a limit that the package does not store."""
    if "network_capacity" not in values:
        most = values.get("fmap_max", max(widths))
        return [f"fmap_max {most}, the tensors have {max(widths)} channels"] if most < max(widths) else []
    capacity, most = values["network_capacity"], values.get("fmap_max", max(widths))
    said = [min(capacity << power, most) for power in range(len(widths), 0, -1)]
    if said == list(widths):
        return []
    limit = f" and fmap_max {most}" if "fmap_max" in values else ""
    return [f"network_capacity {capacity}{limit}, the tensors have channels {list(widths)}"]

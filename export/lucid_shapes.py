"""Which tensors a network of stylegan2-pytorch has: read off a state dict, and named with their shapes.

Names are those of the checkpoint without the network's own prefix. The package's versions 1.5.10 to 1.9.0 differ in
their attention alone; ``attention`` is named after the first version that had it, and "1.9" after the last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dsb_fast._errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]

MOST_BLOCKS = 10  # 2048 pixels; the package's users go to 1024
MOST_LAYERS = 64  # of the mapping network, which has 8
BLUR = "to_rgb.upsample.1.f"  # of every block but the last: the constant taps 1, 2, 1
_INNER = 8 * 64  # heads and features of every attention
_INDEX = "(0|[1-9][0-9]{0,5})"

# The first version of each attention. "1.8.0" and "1.9" have the same tensors: one divides by the standard deviation
# plus 1e-5, the other by the root of variance plus 1e-5.
_ATTENTIONS = (
    ((1, 5, 10), "1.5"), ((1, 6, 0), "1.6"), ((1, 8, 0), "1.8.0"), ((1, 8, 3), "1.8.3"), ((1, 8, 5), "1.8.0"),
    ((1, 8, 8), "1.9"),
)  # fmt: skip
_LAST_VERSION = (1, 9, 0)
# What tensors are read as where no version is known: networks without attention are the same in all of them.
_ASSUMED = {None: "1.5.10", "1.5": "1.5.10", "1.6": "1.7.0", "1.8.3": "1.8.4", "1.9": "1.9.0"}


@dataclass(frozen=True)
class MappingShape:
    """S or SE: ``style_depth`` layers of ``latent_dim`` by ``latent_dim``."""

    latent_dim: int
    style_depth: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's name and shape."""
        out: dict[str, tuple[int, ...]] = {}
        for layer in range(self.style_depth):
            out |= _layer(f"net.{2 * layer}", self.latent_dim, self.latent_dim)
        return out


@dataclass(frozen=True)
class GeneratorShape:
    """G or GE. ``widths`` are the channels that each block makes, the one at 4 x 4 first; ``attended`` are the indices
    of the blocks that attention precedes, ``attention`` is what tensors of such names mean to the last version."""

    latent_dim: int
    widths: tuple[int, ...]
    channels: int
    no_const: bool
    attended: tuple[int, ...]
    attention: str | None

    @property
    def image_size(self) -> int:
        return 4 << len(self.widths) - 1

    @property
    def attn_layers(self) -> tuple[int, ...]:
        """As the package counts them: 1 is the last block."""
        return tuple(sorted(len(self.widths) - index for index in self.attended))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's name and shape."""
        first = self.widths[0]
        out = {"initial_block": (1, first, 4, 4)}
        if self.no_const:
            out = {"to_initial_block.weight": (self.latent_dim, first, 4, 4)}
        out |= _layer("initial_conv", first, first, 3, 3)
        wide = (first, *self.widths)
        for index, (inputs, outputs) in enumerate(zip(wide, self.widths, strict=False)):
            block, is_last = f"blocks.{index}", index == len(self.widths) - 1
            out |= self._block(block, inputs, outputs)
            if not is_last:
                out[f"{block}.{BLUR}"] = (3,)
            if index in self.attended:
                out |= _attention(f"attns.{index}", inputs, self.attention)
        return out

    def _block(self, name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        out = {}
        for k, channels in ((1, inputs), (2, outputs)):
            out |= _layer(f"{name}.to_style{k}", channels, self.latent_dim)
            out |= _layer(f"{name}.to_noise{k}", outputs, 1)
            out[f"{name}.conv{k}.weight"] = (outputs, channels, 3, 3)
        out |= _layer(f"{name}.to_rgb.to_style", outputs, self.latent_dim)
        return out | {f"{name}.to_rgb.conv.weight": (self.channels, outputs, 1, 1)}


def _layer(name: str, *weight: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _attention(name: str, channels: int, kind: str | None) -> dict[str, tuple[int, ...]]:
    attend, feed = f"{name}.0.fn", f"{name}.1.fn"
    out = _layer(f"{attend}.fn.to_out", channels, _INNER, 1, 1)
    out |= _layer(f"{feed}.fn.0", 2 * channels, channels, 1, 1) | _layer(f"{feed}.fn.2", channels, 2 * channels, 1, 1)
    if kind == "1.5":
        for part in "qkv":
            out |= _layer(f"{attend}.fn.to_{part}", _INNER, channels, 1, 1)
        return out | {f"{attend}.g": (1,), f"{feed}.g": (1,)}
    out[f"{attend}.fn.to_q.weight"] = (_INNER, channels, 1, 1)
    out[f"{attend}.fn.to_kv.net.0.weight"] = (channels, 1, 3, 3)
    out[f"{attend}.fn.to_kv.net.1.weight"] = (2 * _INNER, channels, 1, 1)
    if kind == "1.6":
        return out | {f"{part}.g": (1, channels, 1, 1) for part in (attend, feed)}
    if kind == "1.8.3":
        return out | _layer(f"{attend}.norm", channels) | _layer(f"{feed}.norm", channels)
    return out | {f"{part}.norm.{n}": (1, channels, 1, 1) for part in (attend, feed) for n in "gb"}


def read_mapping(shapes: Shapes) -> MappingShape:
    """The mapping network that has tensors of such shapes, most of them. Raises CheckpointError if none has."""
    layers = _indices(shapes, "net")
    depth = layers[-1] // 2 + 1
    if depth > MOST_LAYERS:
        raise CheckpointError(f"net.{layers[-1]} would be layer {depth} of at most {MOST_LAYERS}")
    places = [(f"net.{layer}.weight", axis) for layer in layers for axis in (0, 1)]
    return MappingShape(_majority(shapes, "the latent size", places), depth)


def read_generator(shapes: Shapes) -> GeneratorShape:
    """The generator that has tensors of such shapes, most of them. Raises CheckpointError if none has."""
    last = _indices(shapes, "blocks")[-1]
    if last >= MOST_BLOCKS:
        raise CheckpointError(f"blocks.{last} would make images above {4 << MOST_BLOCKS - 1} pixels, the most here")
    blocks = range(last + 1)
    styles = [(f"blocks.{k}.{n}.weight", 1) for k in blocks for n in ("to_style1", "to_style2", "to_rgb.to_style")]
    colours = [(f"blocks.{k}.to_rgb.conv.weight", 0) for k in blocks]
    channels = _majority(shapes, "the number of channels", colours)
    if channels not in (3, 4):
        raise CheckpointError(f"{colours[0][0]} makes {channels} channels, needs 3, or 4 for transparent images")
    wide = [("conv2.weight", 0), ("conv2.weight", 1), ("conv1.weight", 0), ("to_style2.weight", 0)]
    widths = [
        _majority(shapes, f"the width of blocks.{k}", [(f"blocks.{k}.{n}", axis) for n, axis in wide]) for k in blocks
    ]
    found = re.compile(rf"attns\.{_INDEX}\.(.*)").fullmatch
    attended: dict[int, set[str]] = {}
    for index, name in (match.groups() for match in map(found, shapes) if match):
        attended.setdefault(int(index), set()).add(name)
    inside = [index for index in sorted(attended) if index <= last]
    return GeneratorShape(
        _majority(shapes, "the latent size", styles), tuple(widths), channels, "to_initial_block.weight" in shapes,
        tuple(inside), _generation(set().union(*(attended[index] for index in inside))),
    )  # fmt: skip


def _indices(shapes: Shapes, part: str) -> list[int]:
    found = re.compile(rf"{part}\.{_INDEX}\..*").fullmatch
    indices = sorted({int(match[1]) for match in map(found, shapes) if match})
    if not indices:
        raise CheckpointError(f"{part}.0 is missing")
    return indices


def _majority(shapes: Shapes, what: str, places: Iterable[tuple[str, int]]) -> int:
    """The size that most of the tensors agree on, so that an error names the one that differs."""
    sizes = [shapes[name][axis] for name, axis in places if len(shapes.get(name, ())) > axis]
    if not sizes:
        raise CheckpointError(f"no tensor tells {what}; {next(iter(places))[0]} would")
    size = Counter(sizes).most_common(1)[0][0]
    if size < 1:
        raise CheckpointError(f"{what} is {size}")
    return size


def _generation(names: set[str]) -> str | None:
    """Whose attention has tensors of such names; of two the last."""
    if not any(name.startswith("0.fn.fn.to_kv.") for name in names):
        return "1.5" if names else None
    if "0.fn.norm.weight" in names:
        return "1.8.3"
    return "1.6" if "0.fn.g" in names else "1.9"


def attention_of(generator: GeneratorShape, version: tuple[int, ...] | None) -> tuple[str | None, str | None]:
    """Whose attention it is to that version, and the version to assume where the given one is not known.

    Raises CheckpointError for a known version whose attention has other tensors.
    """
    found = generator.attention
    if version is None or not _ATTENTIONS[0][0] <= version <= _LAST_VERSION:
        return found, _ASSUMED[found]
    meant = [attention for first, attention in _ATTENTIONS if first <= version][-1]
    if found is None or found == meant or (found, meant) == ("1.9", "1.8.0"):
        return found and meant, None
    text = ".".join(map(str, version))
    raise CheckpointError(
        f"its version is {text}, its attention has the tensors of {_ASSUMED[found]}; "
        "without a version it would be read as that"
    )

"""stylegan2-pytorch checkpoints, versions 1.5.10 to 1.9.0, as checked networks.

A checkpoint is ``model_N.pt``: a dict of ``GAN``, the state dict of a trained mapping network and generator (S, G),
their moving averages (SE, GE) and a discriminator, and ``version``. ``.config.json`` beside it names the architecture;
here the tensors tell it, with that file or without.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsb_fast._errors import CheckpointError

from . import lucid_config, lucid_shapes, torch_file
from .lucid_shapes import GeneratorShape, MappingShape
from .lucid_state import NETWORKS, PARTS, looks_like, read_arrays, refuse, shown, split
from .torch_file import Tensor

__all__ = ["NETWORKS", "Lucid", "Network", "find_checkpoint", "from_tree", "load", "looks_like"]

_MODEL = re.compile(r"model_(0|[1-9][0-9]*)\.pt")
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True, eq=False)
class Network:
    """Tensors by name, without the network's prefix; float32, not to be written to. The blurs' taps are left out."""

    mapping: dict[str, np.ndarray]
    generator: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Lucid:
    """A checked checkpoint.

    ``networks`` has "ema" (SE, GE), "plain" (S, G), or both. ``attn_layers`` count from the output, 1 is the last
    block. ``attention`` is the version whose attention they are: "1.5", "1.6", "1.8.0", "1.8.3" or "1.9", None where
    there is none. ``mean_mapping`` is what styles are drawn towards the mean of: S, where the file has it. ``assumed``
    names what the file does not tell.
    """

    networks: dict[str, Network]
    mean_mapping: dict[str, np.ndarray]
    image_size: int
    channels: int
    latent_dim: int
    blocks: int
    style_depth: int
    lr_mlp: float
    attn_layers: tuple[int, ...]
    attention: str | None
    no_const: bool
    version: str
    assumed: tuple[str, ...]

    def network(self, name: str) -> Network:
        """The network "ema" or "plain". Raises CheckpointError if the checkpoint does not hold it."""
        if name not in self.networks:
            there = " and ".join(f"{known!r} ({', '.join(NETWORKS[known])})" for known in self.networks)
            parts = f" ({', '.join(NETWORKS[name])})" if name in NETWORKS else ""
            raise CheckpointError(f"it has no network {name!r}{parts}; there is {there}")
        return self.networks[name]


def find_checkpoint(path: str | os.PathLike) -> tuple[str, str | None]:
    """The checkpoint that ``path`` names and the ``.config.json`` beside it, if there is one.

    ``path`` is a file, or a folder of ``model_N.pt``, of which the one with the largest N is taken. Raises
    CheckpointError for a folder without one.
    """
    path = os.fspath(path)
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        folder, numbers = path, []
        try:
            with os.scandir(path) as entries:
                numbers = [int(m[1]) for e in entries if e.is_file() and (m := _MODEL.fullmatch(e.name))]
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}; give a checkpoint or a model folder") from None
        if not numbers:
            raise CheckpointError(
                f"{path}: no model_N.pt in this folder; give a checkpoint, or the folder of a model that "
                "stylegan2-pytorch saved (models/NAME)"
            )
        path = os.path.join(folder, f"model_{max(numbers)}.pt")
    config = os.path.join(folder, lucid_config.CONFIG)
    return path, config if os.path.lexists(config) else None


def load(path: str | os.PathLike, options: Mapping[str, Any] | None = None) -> tuple[Lucid, str]:
    """The checkpoint ``path``, a file or a model folder, and the SHA-256 of its model_N.pt.

    ``options`` are those of :func:`from_tree`. Raises CheckpointError, one line that begins with the file's name, and
    InputError for an option that is unknown or of the wrong type.
    """
    lucid_config.check_options(options or {})
    model, config_path = find_checkpoint(path)
    config = lucid_config.read(config_path) if config_path else None
    tree, digest = torch_file.load(model)
    try:
        return from_tree(tree, config, options), digest
    except CheckpointError as error:
        raise CheckpointError(f"{model}: {error}") from None


def from_tree(tree: Any, config: Mapping[str, Any] | None = None, options: Mapping[str, Any] | None = None) -> Lucid:
    """The networks of a checkpoint's object tree.

    ``config`` is the object in its ``.config.json``, None where there is none. ``options`` are ``lr_mlp`` (default
    0.1), which no tensor tells, and what only is compared with the tensors: ``image_size``, ``network_capacity``,
    ``fmap_max``, ``latent_dim``, ``style_depth``, ``transparent``, ``no_const``, ``attn_layers``. Raises
    CheckpointError, one line that names all that is wrong, and InputError for a wrong option.
    """
    claims = lucid_config.Claims(config, options or {})
    parts, wrong = split(tree)
    shapes = _read_shapes(parts, wrong)
    generators = {name: shape for name, shape in shapes.items() if isinstance(shape, GeneratorShape)}
    mappings = {name: shape for name, shape in shapes.items() if isinstance(shape, MappingShape)}
    wrong += _disagreements(generators, mappings)
    lr_mlp, is_assumed, contradictory = claims.lr_mlp()
    wrong += contradictory
    assumed = ["lr_mlp"] if is_assumed else []
    version, attention = "", None
    if generators and mappings:
        shape, depth = next(iter(generators.values())), next(iter(mappings.values())).style_depth
        wrong += claims.contradictions(shape, depth)
        version, attention, is_assumed = _version(tree.get("version"), shape, wrong)
        assumed += ["version"] if is_assumed else []
    refuse(wrong)
    arrays = read_arrays(parts)
    networks = {
        name: Network(arrays[mapping], arrays[generator])
        for name, (mapping, generator) in NETWORKS.items()
        if generator in arrays
    }
    return Lucid(
        networks, arrays.get("S") or arrays["SE"], shape.image_size, shape.channels, shape.latent_dim,
        len(shape.widths), depth, lr_mlp, shape.attn_layers, attention, shape.no_const, version, tuple(assumed),
    )  # fmt: skip


def _read_shapes(parts: Mapping[str, Mapping[str, Tensor]], wrong: list[str]) -> dict:
    """The shape of every network; what does not fit it goes to ``wrong``."""
    shapes: dict[str, MappingShape | GeneratorShape] = {}
    for part in (name for name in PARTS if name in parts):
        found = {name: tensor.shape for name, tensor in parts[part].items()}
        read = lucid_shapes.read_generator if part in ("G", "GE") else lucid_shapes.read_mapping
        try:
            shapes[part] = read(found)
        except CheckpointError as error:
            wrong.append(f"{part}: {error}")
            continue
        expected = shapes[part].shapes()
        for name, shape in expected.items():
            if name not in found:
                wrong.append(f"{part}.{name} is missing")
            elif found[name] != shape:
                wrong.append(f"{part}.{name} is {list(found[name])}, needs {list(shape)}")
        extra = (f"{part}.{name}" for name in found if name not in expected)
        wrong += [f"{shown(name)} is not part of such a network" for name in extra]
    return shapes


def _disagreements(generators: dict[str, GeneratorShape], mappings: dict[str, MappingShape]) -> list[str]:
    """How the networks differ from the first of them."""
    wrong = []
    for group in (generators, mappings):
        first, *others = group.items() or [None]
        for name, shape in others:
            if shape != first[1]:
                wrong.append(f"{name} and {first[0]} differ: {_difference(shape, first[1])}")
    if generators and mappings:
        (name, generator), (other, mapping) = next(iter(generators.items())), next(iter(mappings.items()))
        if generator.latent_dim != mapping.latent_dim:
            wrong.append(f"{name} takes styles of {generator.latent_dim}, {other} makes {mapping.latent_dim}")
    return wrong


def _difference(one, other) -> str:
    values, others = vars(one), vars(other)
    name = next(name for name in values if values[name] != others[name])
    return f"{name} {values[name]} and {others[name]}"


def _version(value: Any, shape: GeneratorShape, wrong: list[str]) -> tuple[str, str | None, bool]:
    """The version that the checkpoint is read as, whose attention it then has, and whether that is assumed."""
    match = _VERSION.fullmatch(value) if isinstance(value, str) else None
    number = tuple(map(int, match.groups())) if match else None
    try:
        attention, assumed = lucid_shapes.attention_of(shape, number)
    except CheckpointError as error:
        wrong.append(str(error))
        return "", None, False
    return assumed or value, attention, assumed is not None

"""StyleGAN2 checkpoints of rosinality/stylegan2-pytorch as checked, plain descriptions.

A converted file is a dict of ``g_ema`` and ``latent_avg``; a training file has ``g``, ``d``, ``g_ema``, the optimisers
and ``args`` (an ``argparse.Namespace``), and no mean of w. No file names the architecture of ``g_ema``: the tensors do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsb_fast._errors import CheckpointError, InputError

from . import nv_pickle
from .checkpoint_kinds import describe
from .float_arrays import compare, read_arrays, refuse, shown
from .torch_file import Attributes, Tensor

NETWORKS = {"ema": "g_ema", "plain": "g"}
LARGEST = 2048  # pixels
MOST_LAYERS = 64  # of the mapping network
LR_MLP = 0.01  # of every file the repository's scripts write; no tensor tells it
_KERNEL = "convs.0.conv.blur.kernel"
_MOST_TAPS = 64
_WHAT = "rosinality StyleGAN2 checkpoint"
# What args of train.py say of the network, and the field it is here.
_ARGS = {"size": "size", "latent": "style_dim", "n_mlp": "n_mlp", "channel_multiplier": "channel_multiplier"}


@dataclass(frozen=True, eq=False)
class Rosinality:
    """One generator of a file.

    ``channels`` are those that each resolution makes. ``channel_multiplier`` is what they, or ``args``, say of the
    repository's table; None where images are too small for it to matter and ``args`` are silent. ``blur`` are the taps
    of the upsampling. ``latent_avg`` is the mean of w, float32 [style_dim]; None in a training file: to be estimated.
    ``tensors`` are float32, by their names in the state dict, not to be written to.
    """

    size: int
    style_dim: int
    n_mlp: int
    channel_multiplier: int | None
    channels: dict[int, int]
    lr_mlp: float
    blur: tuple[float, ...]
    tensors: dict[str, np.ndarray]
    latent_avg: np.ndarray | None
    network: str
    networks: tuple[str, ...]

    @property
    def num_ws(self) -> int:
        """Rows of w: one a convolution, and one for the last RGB."""
        return 2 * len(self.channels)

    @property
    def has_noise(self) -> bool:
        """Whether the file stores noise maps."""
        return "noises.noise_0" in self.tensors

    @property
    def must_estimate_mean(self) -> bool:
        """Whether the file lacks the mean of w that truncation needs."""
        return self.latent_avg is None


def looks_like(tree: Any) -> bool:
    """Whether an object tree is such a checkpoint, whole or not."""
    return isinstance(tree, dict) and isinstance(tree.get("g_ema"), dict)


def from_file(path: str | os.PathLike, network: str = "ema") -> Rosinality:
    """The network "ema" (g_ema) or "plain" (g, in training files) of the file ``path``.

    Raises CheckpointError, one line that begins with the path, and InputError for another name of a network.
    """
    _check_name(network)
    return nv_pickle.read(path, lambda tree: from_tree(tree, network))


def from_tree(tree: Any, network: str = "ema") -> Rosinality:
    """The network "ema" or "plain" of an object tree.

    Both are checked, whichever is asked for. Raises CheckpointError, one line that names all that is wrong.
    """
    _check_name(network)
    if not looks_like(tree):
        raise CheckpointError(f"it is no {_WHAT} (a dict with g_ema): {describe(tree)}")
    there = tuple(name for name, key in NETWORKS.items() if key in tree)
    if network not in there:
        raise CheckpointError("it has no network 'plain' (g), as only training files do; there is 'ema'")
    found = {name: _network(tree, name, there) for name in there}
    return found[network]


def _check_name(network: str) -> None:
    if network not in NETWORKS:
        raise InputError(
            f"network: {shown(network)}; a rosinality file has 'ema' (g_ema), a training file 'plain' (g) too"
        )


def _network(tree: dict, name: str, there: tuple[str, ...]) -> Rosinality:
    what = f"{_WHAT}, {NETWORKS[name]}"
    tensors, wrong = _tensors(tree[NETWORKS[name]])
    refuse(what, wrong)
    size, style_dim, n_mlp, channels = _architecture(what, {key: value.shape for key, value in tensors.items()})
    mean = tree.get("latent_avg")
    every = dict(tensors)
    if mean is not None:
        if not isinstance(mean, Tensor) or not mean.is_floating or mean.shape not in ((style_dim,), (1, style_dim)):
            wrong.append(f"latent_avg is {shown(getattr(mean, 'shape', mean))}, needs [{style_dim}]")
        else:
            every["latent_avg"] = mean
    kernel = tensors[_KERNEL].shape if _KERNEL in tensors else (4, 4)
    if len(kernel) != 2 or kernel[0] != kernel[1] or not 1 <= kernel[0] <= _MOST_TAPS:
        wrong.append(f"{_KERNEL} is {shown(kernel)}, needs as many rows as columns, 1 to {_MOST_TAPS}")
    expected = _shapes(channels, style_dim, n_mlp, kernel)
    if not any(name.startswith("noises.") for name in tensors):  # as the repository's first files
        expected = {name: shape for name, shape in expected.items() if not name.startswith("noises.")}
    wrong += compare(tensors, expected)
    facts = {"size": size, "style_dim": style_dim, "n_mlp": n_mlp, "channel_multiplier": _multiplier(channels)}
    wrong += _contradictions(tree.get("args"), facts)
    refuse(what, wrong)
    arrays, wrong = read_arrays(every)
    blur, more = _blur(arrays)
    refuse(what, wrong + more)
    mean = arrays.pop("latent_avg", None)
    multiplier = facts["channel_multiplier"]
    if multiplier is None:
        multiplier = _said(tree.get("args")).get("channel_multiplier")
    return Rosinality(
        size, style_dim, n_mlp, multiplier, channels, LR_MLP, blur, arrays,
        None if mean is None else mean.reshape(style_dim), name, there,
    )  # fmt: skip


def _tensors(state: Any) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a state dict, without DataParallel's prefix."""
    if not isinstance(state, dict):
        return {}, ["it is no state dict"]
    tensors: dict[str, Tensor] = {}
    wrong = []
    for key, value in state.items():
        name = key.removeprefix("module.") if isinstance(key, str) else key
        if not isinstance(name, str) or not isinstance(value, Tensor) or not value.is_floating:
            wrong.append(f"{shown(key)} is no tensor of floating point numbers")
        elif name in tensors:
            wrong.append(f"{shown(key)} is there twice")
        else:
            tensors[name] = value
    return tensors, wrong


def _architecture(what: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int, dict[int, int]]:
    """Size, style_dim, n_mlp and the channels of each resolution. Raises CheckpointError if no tensor tells them."""

    def size(name: str, axis: int) -> int:
        if axis >= len(shapes.get(name, ())):
            refuse(what, [f"{name} is missing" if name not in shapes else f"{name} has too few dimensions"])
        return shapes[name][axis]

    found = re.compile(r"(style|convs)\.(0|[1-9]\d{0,3})\..*").fullmatch
    matches = [(m[1], int(m[2])) for m in map(found, shapes) if m]
    layers = [index for part, index in matches if part == "style"]
    convs = [index for part, index in matches if part == "convs"]
    blocks = max(convs, default=-1) // 2 + 1
    if not layers or not convs or max(layers) > MOST_LAYERS or 4 << blocks > LARGEST:
        last = f"style.{max(layers, default='-')} and convs.{max(convs, default='-')}"
        limits = f"style.1 to style.{MOST_LAYERS} and, for 8 to {LARGEST} pixels, convs.1 to convs.17"
        refuse(what, [f"it has {last} as its last layers, needs {limits}"])
    channels = {4: size("input.input", 1)}
    for block in range(blocks):
        channels[8 << block] = size(f"convs.{2 * block + 1}.conv.weight", 1)
    style_dim = size("conv1.conv.modulation.weight", 1)
    if not style_dim or not all(channels.values()):
        refuse(what, ["it has a layer of 0 channels"])
    return 4 << blocks, style_dim, max(layers), channels


def _shapes(channels: Mapping[int, int], style_dim: int, n_mlp: int, kernel: tuple[int, ...]) -> dict[str, tuple]:
    """Every tensor's name and shape; ``kernel`` is that of the blurs."""
    out: dict[str, tuple] = {}
    for layer in range(1, n_mlp + 1):  # style.0 normalises
        out[f"style.{layer}.weight"], out[f"style.{layer}.bias"] = (style_dim, style_dim), (style_dim,)

    def modulated(name: str, inputs: int, outputs: int, k: int) -> None:
        out[f"{name}.conv.weight"] = (1, outputs, inputs, k, k)
        out[f"{name}.conv.modulation.weight"], out[f"{name}.conv.modulation.bias"] = (inputs, style_dim), (inputs,)

    def styled(name: str, inputs: int, outputs: int) -> None:
        modulated(name, inputs, outputs, 3)
        out[f"{name}.noise.weight"], out[f"{name}.activate.bias"] = (1,), (outputs,)

    def colours(name: str, inputs: int) -> None:
        modulated(name, inputs, 3, 1)
        out[f"{name}.bias"] = (1, 3, 1, 1)

    out["input.input"] = (1, channels[4], 4, 4)
    styled("conv1", channels[4], channels[4])
    colours("to_rgb1", channels[4])
    out["noises.noise_0"] = (1, 1, 4, 4)
    for block, (inputs, side) in enumerate(zip(channels.values(), list(channels)[1:], strict=False)):
        styled(f"convs.{2 * block}", inputs, channels[side])
        out[f"convs.{2 * block}.conv.blur.kernel"] = kernel
        styled(f"convs.{2 * block + 1}", channels[side], channels[side])
        colours(f"to_rgbs.{block}", channels[side])
        out[f"to_rgbs.{block}.upsample.kernel"] = kernel
        for k in (1, 2):
            out[f"noises.noise_{2 * block + k}"] = (1, 1, side, side)
    return out


def _multiplier(channels: Mapping[int, int]) -> int | None:
    """The repository's channel_multiplier, where the channels are those of its table: 16384 / side * multiplier."""
    if any(width != 512 for side, width in channels.items() if side <= 32):
        return None
    wide = {width * side for side, width in channels.items() if side >= 64}
    if len(wide) != 1 or (value := wide.pop()) % 16384 or not value:
        return None
    return value // 16384


def _said(args: Any) -> dict[str, int]:
    """What the training script's arguments say of the network, as whole numbers, by the fields here."""
    values = args.values if isinstance(args, Attributes) else args if isinstance(args, dict) else {}
    return {field: values[name] for name, field in _ARGS.items() if type(values.get(name)) is int}


def _contradictions(args: Any, facts: Mapping[str, int | None]) -> list[str]:
    names = {field: name for name, field in _ARGS.items()}
    return [
        f"args say {names[field]} {shown(said)}, the tensors say {facts[field]}"
        for field, said in _said(args).items()
        if facts[field] not in (None, said)
    ]


def _blur(arrays: Mapping[str, np.ndarray]) -> tuple[tuple[float, ...], list[str]]:
    """The taps, scaled to a sum of 1, of which all kernels are the outer product times 4, and which kernels are not."""
    names = [name for name in arrays if name.endswith((".blur.kernel", ".upsample.kernel"))]
    kernel = arrays[names[0]].astype(np.float64) / 4
    taps = kernel.sum(axis=1)
    needed = 4 * np.multiply.outer(taps, taps)
    wrong = [
        f"{name} is not 4 times the outer product of taps with a sum of 1"
        for name in names
        if not np.isfinite(needed).all() or np.abs(arrays[name] - needed).max() > 1e-5
    ]
    return tuple(taps.tolist()), wrong

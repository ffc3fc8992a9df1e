"""The state dict in a stylegan2-pytorch checkpoint: its networks' tensors apart, and as arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dsb_fast._errors import CheckpointError

from .lucid_shapes import BLUR
from .torch_file import Tensor

NETWORKS = {"ema": ("SE", "GE"), "plain": ("S", "G")}
PARTS = ("SE", "GE", "S", "G")
_UNUSED = ("D.", "D_aug.", "D_cl.")  # the discriminator, and what the package wraps it in
_NAMED = 4  # of all that is wrong
# What else a checkpoint may be, by a name in it.
_KINDS = {
    "g_ema": "a StyleGAN2 of rosinality/stylegan2-pytorch",
    "G_ema": "a network of NVIDIA's StyleGAN repositories",
    "netG_state_dict": "a Pulse2Pulse generator",
    "stat_dict": "a Pulse2Pulse generator",
    "conv_1.weight": "a Pulse2Pulse generator",
}


def looks_like(tree: Any) -> bool:
    """Whether an object tree is such a checkpoint, whole or not."""
    state = tree.get("GAN") if isinstance(tree, dict) else None
    if not isinstance(state, dict):
        return False
    return any(isinstance(key, str) and _part(key)[0] in PARTS for key in state)


def refuse(wrong: list[str]) -> None:
    """Raises CheckpointError that names the first of what is wrong, if anything is."""
    if wrong:
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise CheckpointError("stylegan2-pytorch checkpoint: " + "; ".join(wrong[:_NAMED]) + more)


def _part(key: str) -> tuple[str, str]:
    """The network and the tensor that a key of the state dict names."""
    part, _, name = key.removeprefix("module.").partition(".")
    return part, name


def shown(key: Any) -> str:
    """A name in the file, fit to stand in a message."""
    return key if isinstance(key, str) and re.fullmatch(r"[\w.]{1,100}", key, re.ASCII) else repr(key)[:60]


def split(tree: Any) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """The tensors of S, G, SE and GE, and what is not one. Raises CheckpointError if there are none of a generator."""
    if not looks_like(tree):
        raise CheckpointError(f"it is no stylegan2-pytorch checkpoint (a dict with GAN): {_describe(tree)}")
    parts: dict[str, dict[str, Tensor]] = {}
    wrong = []
    for key, value in tree["GAN"].items():
        part, name = _part(key) if isinstance(key, str) else ("", "")
        if isinstance(key, str) and key.removeprefix("module.").startswith(_UNUSED):
            continue
        if part not in PARTS or not name:
            wrong.append(f"{shown(key)} is not part of such a network")
        elif not isinstance(value, Tensor) or not value.is_floating:
            wrong.append(f"{shown(key)} is no tensor of floating point numbers")
        elif name in parts.setdefault(part, {}):
            wrong.append(f"{shown(key)} is there twice")
        else:
            parts[part][name] = value
    for mapping, generator in NETWORKS.values():
        if generator in parts and mapping not in parts:
            wrong.append(f"{generator} is there, its mapping network {mapping} is not")
    if not {"G", "GE"} & set(parts):
        wrong.append("neither G nor GE is there")
    if "SE" in parts and "GE" not in parts:
        wrong.append("SE is there, its generator GE is not")
    return parts, wrong


def _describe(tree: Any) -> str:
    if not isinstance(tree, dict):
        return f"it holds {'a tensor' if isinstance(tree, Tensor) else f'one {type(tree).__name__}'}"
    inside = tree.get("state_dict")
    for name, kind in _KINDS.items():
        if name in tree or (isinstance(inside, dict) and name in inside):
            return f"it looks like {kind}"
    if "GAN" in tree:
        return "in its GAN is none of S, G, SE and GE"
    if any(isinstance(key, str) and _part(key)[0] in PARTS for key in tree):
        return "it looks like the state dict alone; save it as {'GAN': state_dict, 'version': '...'}"
    return f"it has {', '.join(shown(key) for key in list(tree)[:4]) or 'nothing'}"


def read_arrays(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, np.ndarray]]:
    """float32 arrays of all tensors, each storage's numbers at most once. Raises CheckpointError."""
    views: dict[tuple, Tensor] = {}
    places = {}
    for part, tensors in parts.items():
        for name, tensor in tensors.items():
            places[part, name] = place = id(tensor.storage), tensor.offset, tensor.shape, tensor.strides
            views[place] = tensor
    stored = {id(tensor.storage): tensor.storage.count for tensor in views.values()}
    count = sum(math.prod(shape) for _, _, shape, _ in views)
    if count > sum(stored.values()):
        raise CheckpointError(f"its tensors overlap: {count} values are made of {sum(stored.values())}")
    read: dict[tuple, np.ndarray] = {}
    wrong = []
    out: dict[str, dict[str, np.ndarray]] = {part: {} for part in parts}
    for (part, name), place in places.items():
        if place not in read:
            with np.errstate(over="ignore"):
                read[place] = np.asarray(views[place].numpy(), np.float32)
        values = read[place]
        if not np.isfinite(values).all():
            wrong.append(f"{part}.{name} has values that are not finite")
        elif not name.endswith(BLUR):
            out[part][name] = values
        elif values.tolist() != [1, 2, 1]:
            wrong.append(f"{part}.{name} is {values.tolist()}, needs [1, 2, 1]")
    refuse(wrong)
    return out

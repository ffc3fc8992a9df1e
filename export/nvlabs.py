"""StyleGAN2 networks of NVIDIA's PyTorch repositories as checked, plain descriptions.

A file is a pickled dict of ``G`` (trained), ``D`` and ``G_ema`` (its moving average), as stylegan2-ada-pytorch and, for
the StyleGAN2 configurations, the stylegan3 repository write it. The program text in it is never looked at.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsb_fast._errors import CheckpointError, InputError

from . import nv_modules, nv_pickle, nv_settings
from .checkpoint_kinds import describe
from .float_arrays import compare, read_arrays, refuse, shown
from .nv_pickle import Module
from .nv_settings import Asked, MappingSettings, SynthesisSettings
from .torch_file import Tensor

NETWORKS = {"ema": "G_ema", "plain": "G"}
_FAMILIES = {"ada": "stylegan2-ada-pytorch", "sg3repo": "stylegan3 repository"}


@dataclass(frozen=True, eq=False)
class NvNetwork:
    """One generator of a file.

    ``family`` is "ada" (stylegan2-ada-pytorch) or "sg3repo" (StyleGAN2 of the stylegan3 repository), ``architecture``
    "skip", "resnet" or "orig". ``tensors`` are float32, by their names in the state dict, not to be written to.
    ``network`` is "ema" or "plain", ``networks`` those that the file has.
    """

    family: str
    resolution: int
    img_channels: int
    z_dim: int
    c_dim: int
    w_dim: int
    num_ws: int
    architecture: str
    mapping: MappingSettings
    synthesis: SynthesisSettings
    tensors: dict[str, np.ndarray]
    network: str
    networks: tuple[str, ...]

    @property
    def w_avg(self) -> np.ndarray | None:
        """The mean of w, float32 [w_dim]; None where training did not track it."""
        return self.tensors.get("mapping.w_avg")


def from_file(path: str | os.PathLike, network: str = "ema") -> NvNetwork:
    """The network "ema" (G_ema) or "plain" (G) of the file ``path``.

    Raises CheckpointError, one line that begins with the path, and InputError for another name of a network.
    """
    _check_name(network)
    return nv_pickle.read(path, lambda tree: from_tree(tree, network))


def looks_like(tree: Any) -> bool:
    """Whether an object tree is that of a network pickle, of StyleGAN2 or not."""
    return isinstance(tree, dict) and any(isinstance(tree.get(key), Module) for key in NETWORKS.values())


def from_tree(tree: Any, network: str = "ema") -> NvNetwork:
    """The network "ema" or "plain" of an object tree.

    Both are checked, whichever is asked for. Raises CheckpointError, one line that names all that is wrong.
    """
    _check_name(network)
    if not looks_like(tree):
        raise CheckpointError(f"it is no NVIDIA StyleGAN2 network pickle: {describe(tree)}")
    there = tuple(name for name, key in NETWORKS.items() if tree.get(key) is not None)
    if network not in there:
        raise CheckpointError(f"it has no network {network!r} ({NETWORKS[network]}); there is {there[0]!r}")
    found = {}
    for name in there:
        module = tree[NETWORKS[name]]
        if not isinstance(module, Module):
            raise CheckpointError(f"its {NETWORKS[name]} is {shown(module)}, needs a network")
        made = _network(module, name, there)
        found[name] = made if name == network else None  # the other's numbers are not kept
    return found[network]


def _check_name(network: str) -> None:
    if network not in NETWORKS:
        raise InputError(f"network: {shown(network)}; an NVIDIA file has 'ema' (G_ema) and 'plain' (G)")


def _network(root: Module, name: str, there: tuple[str, ...]) -> NvNetwork:
    """One network, checked."""
    modules, tensors, wrong = nv_modules.collect(root)
    _refuse_other_kinds(root, modules)
    family = "sg3repo" if "num_fp16_res" in modules["synthesis"].state else "ada"
    what = f"NVIDIA {_FAMILIES[family]} network {NETWORKS[name]}"
    asked, more = nv_settings.read(family, root.state.get("_init_args", ()), root.state.get("_init_kwargs"))
    refuse(what, wrong + more)
    refuse(what, _facts(asked, tensors))
    channels = asked.channels()
    taps = asked.synthesis["resample_filter"]
    filters = {"given": nv_settings.filter_taps(taps).shape, "default": (4, 4)}
    wrong = compare(tensors, nv_modules.expected_shapes(asked, channels, filters))
    wrong += nv_modules.contradictions(modules, nv_modules.expected_attributes(asked, channels))
    refuse(what, wrong)
    arrays, wrong = read_arrays(tensors)
    refuse(what, wrong + _other_filters(arrays, taps))
    return NvNetwork(
        family, *(asked.network[k] for k in ("img_resolution", "img_channels", "z_dim", "c_dim", "w_dim")),
        2 * len(asked.resolutions), asked.synthesis["architecture"], _mapping(asked), _synthesis(asked, channels),
        arrays, name, there,
    )  # fmt: skip


def _refuse_other_kinds(root: Module, modules: dict[str, Module]) -> None:
    """Raises CheckpointError for a network that is no StyleGAN2 generator, and says what it looks like."""
    inner = {name.split(".")[1] for name in modules if name.startswith("synthesis.")}
    if "input" in inner or any(re.fullmatch(r"L\d+_\d+_\d+", name) for name in inner):
        raise CheckpointError(
            "it is a StyleGAN3 (alias-free) network; of NVIDIA's, StyleGAN2 is supported: files of "
            "stylegan2-ada-pytorch, and of the stylegan3 repository with --cfg=stylegan2"
        )
    if "b4" not in inner or "mapping" not in modules:
        raise CheckpointError(
            f"it is a network of class {shown(root.class_name)}, which is no StyleGAN2 generator (synthesis.b4 and "
            "mapping); of NVIDIA's, files of stylegan2-ada-pytorch, and of the stylegan3 repository with "
            "--cfg=stylegan2, are supported"
        )


def _facts(asked: Asked, tensors: dict[str, Tensor]) -> list[str]:
    """Which arguments the shapes of single tensors contradict, so that each is named once and not by every tensor."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}

    def size(name: str, axis: int) -> int | None:
        return shapes[name][axis] if axis < len(shapes.get(name, ())) else None

    def count(pattern: str) -> list[int]:
        return sorted({int(m[1]) for m in map(re.compile(pattern).match, shapes) if m})

    layers, blocks = count(r"mapping\.fc(\d{1,4})\.weight$"), count(r"synthesis\.b(\d{1,5})\.conv1\.weight$")
    resolution = asked.network["img_resolution"]
    facts = [
        ("img_resolution", resolution, max(blocks, default=None)),
        ("img_channels", asked.network["img_channels"], size(f"synthesis.b{resolution}.torgb.weight", 0)),
        ("w_dim", asked.network["w_dim"], size("synthesis.b4.conv1.affine.weight", 1)),
        ("c_dim", asked.network["c_dim"], size("mapping.embed.weight", 1) or 0),
        ("mapping_kwargs.num_layers", asked.mapping["num_layers"], len(layers) or None),
    ]
    if asked.network["c_dim"] and "mapping.embed.weight" in shapes:
        embedded = nv_modules.embed_features(asked)
        facts.append(("mapping_kwargs.embed_features", embedded, size("mapping.embed.weight", 0)))
    inner = asked.mapping["layer_features"] or asked.network["w_dim"]
    if len(layers) > 1 and asked.mapping["num_layers"] > 1:
        facts.append(("mapping_kwargs.layer_features", inner, size("mapping.fc0.weight", 0)))
    wrong = [f"{name} is {said}, the tensors say {fact}" for name, said, fact in facts if fact not in (None, said)]
    inputs = size("mapping.fc0.weight", 1)
    if inputs is not None and not wrong and inputs != nv_modules.widths(asked)[0]:
        wrong.append(f"z_dim is {asked.network['z_dim']}, the tensors say {inputs - nv_modules.embed_features(asked)}")
    said = asked.channels()
    if not all(said.values()):
        return [
            *wrong,
            f"channel_base {asked.synthesis['channel_base']} is too small for {asked.resolutions[-1]} pixels",
        ]
    there = {k: size(f"synthesis.b{k}.conv1.weight", 0) or said[k] for k in said}
    if said != there:
        kwargs = f"channel_base {asked.synthesis['channel_base']} and channel_max {asked.synthesis['channel_max']}"
        wrong.append(f"{kwargs} make channels {list(said.values())}, the tensors have {list(there.values())}")
    return wrong


def _other_filters(arrays: dict[str, np.ndarray], taps: tuple | None) -> list[str]:
    """Resample filters that are not made of the taps in init_kwargs. A conv1 has one that it does not use."""
    needed = nv_settings.filter_taps(taps)
    names = [name for name in arrays if name.endswith(".resample_filter") and ".conv1." not in name]
    return [
        f"{name} is not the filter that init_kwargs ask for, {shown(taps)}"
        for name in names
        if not np.isfinite(needed).all() or np.abs(arrays[name] - needed).max() > 1e-6 * np.abs(needed).max()
    ]


def _mapping(asked: Asked) -> MappingSettings:
    said = asked.mapping
    return MappingSettings(
        said["num_layers"], nv_modules.embed_features(asked), said["layer_features"] or asked.network["w_dim"],
        said["activation"], float(said["lr_multiplier"]), said["w_avg_beta"],
    )  # fmt: skip


def _synthesis(asked: Asked, channels: dict[int, int]) -> SynthesisSettings:
    said, taps = asked.synthesis, asked.synthesis["resample_filter"]
    if taps is not None:
        taps = tuple(tuple(row) if isinstance(row, (list, tuple)) else row for row in taps)
    clamp = said["conv_clamp"]
    return SynthesisSettings(
        channels, said["kernel_size"], None if clamp is None else float(clamp), said["use_noise"], said["activation"],
        taps, said["num_fp16_res"],
    )  # fmt: skip

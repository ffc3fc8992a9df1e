"""Where a StyleGAN2 of NVIDIA's or rosinality's comes from: a checkpoint, or an exported ONNX file."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cached_property

import numpy as np

from .. import _cache, _files
from .._errors import CheckpointError, InputError
from .checkpoint_file import CheckpointFile, kind_of
from .description import Description, digest
from .exported_image import PARTS, ExportedImage
from .nv_card import EXPORTED, FAMILIES, NV_SAID, NvCard, check_nv_card
from .on_device import WholeNumbers
from .stylegan2_card import NETWORKS

# As stylegan2_source has them; nothing attends here, and graphs in float16 are other graphs.
PLANS = {"fp32": ("fp32",), "bf16": ("bf16 convolutions",), "fp16": ("fp16",)}
_BY_USE = ("const", "input", "none")
GRAPH_OF = {"random": "input", "const": "const", "none": "none"}  # what a graph has for noise, by the option
Key = tuple[str, str]  # of a graph: the part, and what it has for noise: "input", "const" or "none"


class NvCheckpoint:
    """A checkpoint of NVIDIA's or rosinality's. It is parsed only when something of it is not cached.

    ``network`` is "ema" or "plain". ``values`` are card entries that the file does not have; they win over
    ``defaults``. ``name`` None is that of its family.
    """

    offers = ("graph", "description")
    plans = PLANS
    parts = PARTS

    def __init__(self, name: str | None, file: CheckpointFile, values: dict, network: str | None, defaults: dict):
        self.network = network or "ema"
        if self.network not in NETWORKS:
            raise InputError(f"network: {self.network!r}; there are {', '.join(NETWORKS)}")
        self._name, self._file, self.path, self.weights_sha256 = name, file, file.path, file.sha256
        self.said = json.loads(json.dumps(values, default=str))  # as a manifest has it, to load the file again
        if unknown := sorted(set(self.said) - set(NV_SAID)):
            raise InputError(
                f"model card: no entry is called {', '.join(unknown)[:80]}; there are {', '.join(NV_SAID)}"
            )
        self._words = {**{key: value for key, value in defaults.items() if key in NV_SAID}, **values}

    def confirm(self) -> None:
        """The digest was taken when it was opened."""

    @property
    def name(self) -> str:
        """The registered model's, or what its family is called."""
        return self._name or FAMILIES[self.card.family]

    @cached_property
    def described(self):
        """The parsed and checked network. Raises CheckpointError, one line that names all that is wrong."""
        from ..export import nvlabs, rosinality, stylegan2_network
        from ..export.checkpoint_kinds import describe

        tree = self._file.tree[0]
        kind = kind_of(tree)
        try:
            if kind == "nvlabs":
                return stylegan2_network.from_nvlabs(nvlabs.from_tree(tree, self.network))
            if kind == "rosinality":
                return stylegan2_network.from_rosinality(rosinality.from_tree(tree, self.network))
            raise CheckpointError(f"it is no StyleGAN2 of NVIDIA's or rosinality's: {describe(tree)}")
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from None
        finally:
            self._file.forget()  # the network has the numbers

    @cached_property
    def _facts(self) -> tuple[np.ndarray, dict]:
        """The mean style and what the file says of its network, from the cache where they are there and whole."""
        mean, text, _ = _cache.array(_facts_key(self._file, self.network), self._derive_facts)
        return mean, json.loads(text)

    def _derive_facts(self) -> tuple[np.ndarray, str]:
        from ..export import stylegan2_mean

        found = self.described
        mean = found.mean_style
        facts = {
            "family": found.family, "image_size": found.resolution, "channels": found.img_channels,
            "latent_dim": found.z_dim, "style_dim": found.w_dim, "num_ws": found.num_ws, "labels": found.c_dim,
            "architecture": found.architecture, "noise_sizes": list(found.noise_sizes),
            "stored_noise": found.has_stored_noise, "mean_estimated": mean is None,
        }  # fmt: skip
        mean = stylegan2_mean.estimate(found) if mean is None else np.ascontiguousarray(mean, np.float32)
        if not np.isfinite(mean).all():
            raise CheckpointError(f"{self.path}: its mapping network makes values that are not numbers")
        return mean, json.dumps(facts)

    @cached_property
    def card(self) -> NvCard:
        """Sizes and words. Raises CheckpointError for a file without the network that was asked for."""
        facts = self._facts[1]
        family = FAMILIES[facts["family"]]
        if self._name in FAMILIES.values() and self._name != family:
            raise CheckpointError(f"{self.path}: it is no {self._name} network but a {family} one")
        return check_nv_card({**facts, **self._words, "network": self.network})

    @property
    def noises(self) -> tuple[str, ...]:
        """What graphs can have for noise, the one that samples use where nobody asks first."""
        if not self.card.noise_sizes:
            return ("none",)
        able = _BY_USE if self.card.stored_noise else _BY_USE[1:]
        asked = GRAPH_OF.get(self.card.noise)
        return (asked, *(noise for noise in able if noise != asked)) if asked in able else able

    @property
    def mean_style(self) -> np.ndarray:
        """float32 [style_dim]: the file's mean of w, or its estimate."""
        return np.array(self._facts[0])

    def build(self, key: Key, flavour: str, plan: str = "fp32") -> _cache.Graph:
        """The graph that ``key`` names, in one piece with its weights."""
        from ..export import fused_products, onnx_file, stylegan2_graphs

        levels, (part, noise) = (True, key.key) if isinstance(key, WholeNumbers) else (False, key)
        mean = self.mean_style if part == "whole" else None
        precision = "fp16" if plan == "fp16" else "fp32"
        model = stylegan2_graphs.build(self.described, part, noise, flavour, mean, precision, levels)
        if plan in fused_products.BFLOAT16:
            fused_products.to_bfloat16(model, plan)
        card = {**asdict(self.card), "part": part, "noise": noise, "precision": precision}
        properties = onnx_file.metadata(
            self.name, flavour, self.weights_sha256, self.card.licence, self.card.citation, card
        )
        return _cache.Graph(*onnx_file.serialise(model, properties))

    def graph(self, key: Key, flavour: str, plan: str = "fp32") -> _cache.Graph:
        """The graph, from the cache where it is there and whole."""
        card = json.dumps(asdict(self.card), sort_keys=True)
        names = (*key.key, "levels") if isinstance(key, WholeNumbers) else key
        words = [f"nv-{'-'.join(names)}", flavour, plan, self.weights_sha256, self.name, card]
        return _cache.graph(words, lambda: self.build(key, flavour, plan))

    def description(self, key) -> Description:
        """The network itself and its mean style; ``key`` as :meth:`graph` takes it."""
        key, ends = (key.key, ("levels", 127.5, 128.0)) if isinstance(key, WholeNumbers) else (key, None)
        (part, noise), mean = key, self.mean_style
        settings = {"part": part, "noise": noise, "network": self.described, "mean_style": mean}
        sha256 = digest("stylegan2", self.weights_sha256, self.network, *key, mean.tolist())
        return Description("stylegan2", settings, ends, sha256)

    def flavour(self, able: tuple[str, ...]) -> str:
        """What the backend prefers."""
        return able[0]

    def export(self, path: str, flavour: str, key: Key, precision: str = "fp32") -> None:
        """Write the graph that ``key`` names, weights inside, to ``path``."""
        _files.write_atomically(path, self.build(key, flavour, precision).model)


class NvExported(ExportedImage):
    """An exported ONNX file of an NVIDIA or rosinality network."""

    def _part_of(self, card: dict) -> str:
        part, noise, self.precision = (card.pop(key, None) for key in ("part", "noise", "precision"))
        if part not in PARTS or noise not in EXPORTED or self.precision not in ("fp32", "fp16"):
            raise CheckpointError(f"its model card does not say which part of {self.name} it is, and with which noise")
        self.plans = {name: PLANS[name] for name in (("fp16",) if self.precision == "fp16" else ("fp32", "bf16"))}
        self.noises = (noise,)
        return part

    def _checked(self, card: dict) -> NvCard:
        return check_nv_card(card)

    def _ports(self, part: str) -> dict[str, tuple[int, ...]]:
        return _ports(self.card, part, self.noises[0])

    @property
    def _style_length(self) -> int:
        return self.card.style_dim

    def _halves(self, whole) -> tuple:
        from ..export import stylegan2_parts

        return stylegan2_parts.parts(whole, self.card.num_ws)

    def graph(self, key: Key, flavour: str, plan: str = "fp32") -> _cache.Graph:
        """The file's bytes, or the part cut out of them; made anew for bfloat16."""
        return self._part(key[0], plan)

    def export(self, path: str, flavour: str, key: Key, precision: str = "fp32") -> None:
        """Write the graph to ``path``. Raises InputError for another than the file's."""
        if (flavour, precision, *key) != (self._flavour, self.precision, self.parts[0], self.noises[0]):
            raise InputError(
                f"{self.path}: it is a {self._flavour} graph of the {self.parts[0]} network in {self.precision} with "
                f"noise {self.noises[0]}; another needs a checkpoint"
            )
        _files.write_atomically(path, self._graph.model)


def _facts_key(file: CheckpointFile, network: str) -> list[str]:
    return ["nv-facts", _cache.exporter_sha256(), file.sha256, network]


def was_read(file: CheckpointFile, network: str | None) -> bool:
    """Whether that network of the file was read before, and found to be what it should be."""
    return _cache.cached_array(_facts_key(file, network or "ema")) is not None


def input_shapes(card: NvCard, part: str, noise: str) -> dict[str, list]:
    """The inputs of a graph."""
    label = {"label": ["N", card.labels]} if card.labels else {}
    latents = {"z": ["N", card.latent_dim], **label}
    planes = card.planes if noise == "input" else {}
    return {
        "whole": {**latents, **planes, "truncation_psi": []},
        "mapping": latents,
        "synthesis": {"w": ["N", card.num_ws, card.style_dim], **planes},
    }[part]


def _ports(card: NvCard, part: str, noise: str) -> dict[str, tuple[int, ...]]:
    """The inputs and outputs of a part, with the shape of one sample."""
    inputs = {name: tuple(shape[1:]) for name, shape in input_shapes(card, part, noise).items()}
    if part == "mapping":
        return {**inputs, "w": (card.num_ws, card.style_dim)}
    return {**inputs, "image": (card.channels, card.image_size, card.image_size)}

"""Where an image network comes from: a stylegan2-pytorch checkpoint, or an exported ONNX file."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cached_property

import numpy as np

from .. import _cache, _files
from .._errors import CheckpointError, DeviceError, InputError
from .checkpoint_file import CheckpointFile
from .description import Description, digest
from .exported_image import PARTS, ExportedImage
from .on_device import NO_HALF, WholeNumbers
from .stylegan2_card import NETWORKS, SAID, StyleGan2Card, check_card

# How a precision can be computed, the fastest way first; :mod:`dsb_fast.export.fused_products` has the others.
PLANS = {"fp32": ("fp32",), "bf16": ("bf16", "bf16 convolutions"), "fp16": ("fp16",)}


class Checkpoint:
    """A checkpoint of stylegan2-pytorch. It is parsed only when something of it is not cached.

    ``place`` is the file and the path of its ``.config.json`` or None; ``network`` is "ema" (the averaged one) or
    "plain". ``values`` are what the file does not say: card entries and options of
    :func:`dsb_fast.export.lucid.from_tree`. They win over ``defaults``, whose options lose to a ``.config.json``, too.
    """

    offers = ("graph", "description")
    plans = PLANS
    parts = PARTS

    def __init__(
        self, name: str, place: tuple[CheckpointFile, str | None], values: dict, network: str | None, defaults: dict
    ):
        self.name, self.network = name, network or "ema"
        if self.network not in NETWORKS:
            raise InputError(f"network: {self.network!r}; there are {', '.join(NETWORKS)}")
        self._file, self._config_path = place
        self.path, self.weights_sha256 = self._file.path, self._file.sha256
        self.said = json.loads(json.dumps(values, default=str))  # as a manifest has it, to load the file again
        says = {**defaults, **values}
        self._words = {key: value for key, value in says.items() if key in SAID}
        says = values if self._config_path else says
        self._options = {key: value for key, value in says.items() if key not in SAID}

    def confirm(self) -> None:
        """The digest was taken when it was opened."""

    @cached_property
    def _config(self) -> dict | None:
        """The ``.config.json`` beside the file, if there is one. Raises CheckpointError."""
        from ..export import lucid_config

        return lucid_config.read(self._config_path) if self._config_path else None

    @cached_property
    def lucid(self):
        """The parsed and checked file. Raises CheckpointError, one line that names all that is wrong."""
        from ..export import lucid

        try:
            return lucid.from_tree(self._file.tree[0], self._config, self._options)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {str(error).removeprefix(self.path + ': ')}") from None
        finally:
            self._file.forget()  # the networks have the numbers

    def facts_are_cached(self) -> bool:
        """Whether this file was read before, and found to be what it should be."""
        try:
            return _cache.cached_array(self._facts_key) is not None
        except CheckpointError:  # of a config that may belong to another file
            return False

    @property
    def _facts_key(self) -> list[str]:
        asked = json.dumps([self._config, self._options], sort_keys=True, default=repr)
        return ["lucid-facts", _cache.exporter_sha256(), self.weights_sha256, asked]

    @cached_property
    def _facts(self) -> tuple[np.ndarray, dict]:
        """The mean style and what the file says of its networks, from the cache where they are there and whole."""
        mean, text, _ = _cache.array(self._facts_key, self._derive_facts)
        return mean, json.loads(text)

    def _derive_facts(self) -> tuple[np.ndarray, str]:
        from ..export import mean_style

        found = self.lucid
        names = ("image_size", "channels", "latent_dim", "blocks", "style_depth", "lr_mlp", "attn_layers", "no_const",
                 "version", "assumed")  # fmt: skip
        facts = {"networks": sorted(found.networks), "card": {name: getattr(found, name) for name in names}}
        return mean_style.estimate(found.mean_mapping, found.lr_mlp), json.dumps(facts)

    @cached_property
    def card(self) -> StyleGan2Card:
        """Sizes and words. Raises CheckpointError for a file without the network that was asked for."""
        facts = self._facts[1]
        if self.network not in facts["networks"]:
            raise CheckpointError(f"{self.path}: it has no {self.network} network; there is {facts['networks'][0]}")
        return check_card({**facts["card"], **self._words, "network": self.network})

    @property
    def mean_style(self) -> np.ndarray:
        """float32 [D]: the mean style of network S."""
        return np.array(self._facts[0])

    def build(self, key, flavour: str, plan: str = "fp32") -> _cache.Graph:
        """The graph of a part: "whole", "mapping", "synthesis" or "fidelity", in one piece with its weights.

        A key of :class:`WholeNumbers` of a part: the same, ending in grey levels. Raises DeviceError for float16 of
        another flavour than "cuda".
        """
        from ..export import fused_products, onnx_file

        part, levels = (key.key, True) if isinstance(key, WholeNumbers) else (key, False)
        if plan == "fp16" and flavour != "cuda":
            raise DeviceError(NO_HALF)
        network, lr_mlp = self.lucid.network(self.network), self.lucid.lr_mlp
        whole = (network.mapping, network.generator, self.mean_style, lr_mlp)
        arguments = {"mapping": (network.mapping, lr_mlp), "synthesis": (network.generator,)}
        told = {} if part == "mapping" else {"attention": self.lucid.attention}
        if flavour == "cuda" and part != "mapping":
            told |= {"precision": plan, "levels": levels}
        model = _builders(flavour)[part](*arguments.get(part, whole), **told)
        if plan in fused_products.BFLOAT16:
            fused_products.to_bfloat16(model, plan)
        card = {**asdict(self.card), "part": part}
        properties = onnx_file.metadata(
            self.name, flavour, self.weights_sha256, self.card.licence, self.card.citation, card
        )
        return _cache.Graph(*onnx_file.serialise(model, properties))

    def graph(self, key, flavour: str, plan: str = "fp32") -> _cache.Graph:
        """The graph, from the cache where it is there and whole. ``plan``: "fp32", or one of a lower precision."""
        card = json.dumps(asdict(self.card), sort_keys=True)
        part = f"{key.key}-levels" if isinstance(key, WholeNumbers) else key
        words = [f"lucid-{part}", flavour, plan, self.weights_sha256, self.name, card]
        return _cache.graph(words, lambda: self.build(key, flavour, plan))

    def description(self, key) -> Description:
        """The tensors of a part, and what they do not tell; ``key`` as :meth:`graph` takes it."""
        part, ends = (key.key, ("levels", 255.0, 0.5)) if isinstance(key, WholeNumbers) else (key, None)
        network = self.lucid.network(self.network)
        settings = {
            "part": part, "mapping": network.mapping, "generator": network.generator, "mean_style": self.mean_style,
            "lr_mlp": self.lucid.lr_mlp, "attention": self.lucid.attention,
        }  # fmt: skip
        said = [self.network, part, self.lucid.lr_mlp, self.lucid.attention, self.mean_style.tolist()]
        return Description("lucid", settings, ends, digest("lucid", self.weights_sha256, *said))

    def flavour(self, able: tuple[str, ...]) -> str:
        """What the backend prefers."""
        return able[0]

    def export(self, path: str, flavour: str = "portable", part: str = "whole") -> None:
        """Write the graph of ``part``, weights inside, to ``path``."""
        _files.write_atomically(path, self.build(part, flavour).model)


def _builders(flavour: str) -> dict:
    """What makes the graph of each part."""
    if flavour == "fused":
        from ..export import lucid_graph as fused

        makers = fused.build_fused, fused.build_fused_mapping, fused.build_fused_synthesis
        return dict(zip(PARTS, makers, strict=True))
    if flavour == "cuda":
        from ..export import cuda_lucid

        return dict(zip(PARTS, (cuda_lucid.build, cuda_lucid.build_mapping, cuda_lucid.build_synthesis), strict=True))
    from ..export import lucid_portable as portable

    makers = portable.build, portable.build_mapping, portable.build_synthesis, portable.build_fidelity
    return dict(zip((*PARTS, "fidelity"), makers, strict=True))


class ExportedGraph(ExportedImage):
    """An exported ONNX file of a stylegan2-pytorch network."""

    plans = {precision: PLANS[precision] for precision in ("fp32", "bf16")}  # noqa: RUF012

    def _part_of(self, card: dict) -> str:
        part = card.pop("part", None)
        if part == "fidelity":
            raise CheckpointError("it was exported for torch-fidelity, which runs it; export without --fidelity")
        if part not in PARTS:
            raise CheckpointError(f"its model card does not say which part of {self.name} it is")
        return part

    def _checked(self, card: dict) -> StyleGan2Card:
        return check_card(card)

    def _ports(self, part: str) -> dict[str, tuple[int, ...]]:
        return _ports(self.card, part)

    @property
    def _style_length(self) -> int:
        return self.card.latent_dim

    def _halves(self, whole) -> tuple:
        from ..export import lucid_parts

        return lucid_parts.parts(whole)

    def graph(self, part: str, flavour: str, plan: str = "fp32") -> _cache.Graph:
        """The file's bytes, or the part cut out of them; made anew for another plan than "fp32"."""
        return self._part(part, plan)

    def export(self, path: str, flavour: str | None = None, part: str = "whole") -> None:
        """Write the graph to ``path``. Raises InputError for another flavour or part than the file's."""
        if flavour not in (None, self._flavour) or part != self.parts[0]:
            raise InputError(
                f"{self.path}: it is a {self._flavour} graph of the {self.parts[0]} network; another needs a checkpoint"
            )
        _files.write_atomically(path, self._graph.model)


def _ports(card: StyleGan2Card, part: str) -> dict[str, tuple[int, ...]]:
    """The inputs and outputs of a part, with the shape of one sample."""
    noise, image = (card.image_size,) * 2, (card.channels, card.image_size, card.image_size)
    z, w = (card.latent_dim,), (card.blocks, card.latent_dim)
    return {
        "whole": {"z": z, "noise": noise, "truncation_psi": (), "image": image},
        "mapping": {"z": z, "w": z},
        "synthesis": {"w": w, "noise": noise, "image": image},
    }[part]

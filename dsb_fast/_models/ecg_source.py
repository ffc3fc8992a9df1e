"""Where an ECG network comes from: the published weights, another checkpoint, or an exported ONNX file."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .. import _cache, _files
from .._errors import CheckpointError, DeviceError, InputError, ModelError
from . import registry
from .card import Card
from .checkpoint_file import kind_of, read_tree
from .description import Description, digest
from .ecg import NAME, PUBLISHED, EcgCard, foreign_card, read_card
from .on_device import NO_HALF, WholeNumbers
from .weights import weights_of

_IMAGES = {"lucid": "stylegan2-pytorch", "nvlabs": "StyleGAN2 of NVIDIA", "rosinality": "StyleGAN2 of rosinality"}
PUBLISHED_SHA256 = registry.find(NAME).weights.sha256


def published_checkpoint() -> str:
    """Path of g_stat.pt in the installed package deepfake-ecg, which is not imported."""
    return weights_of(registry.find(NAME))


class _Digest(threading.Thread):
    """The digest of a file, taken while other work goes on."""

    def __init__(self, path: str):
        super().__init__(daemon=True)
        self._path, self._result, self._error = path, "", None
        self.start()

    def run(self) -> None:
        try:
            self._result = _files.sha256_of(self._path)
        except Exception as error:  # handed to whoever asks for the result
            self._error = error

    def result(self) -> str:
        """Wait for it; raises what taking it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._result


class Packed(NamedTuple):
    """A network as the compiled kernels take it: each layer's shape, all weights in one array, and its digest."""

    shapes: tuple[tuple, ...]
    weights: np.ndarray
    sha256: str


class Checkpoint:
    """A checkpoint file, known by its digest. It is parsed only when its graph is not in the cache.

    The published file is believed to be what it should be until :meth:`confirm`, so that its 42 MB are hashed while
    ONNX Runtime starts.
    """

    offers = ("network", "graph", "description")
    plans = {"fp32": ("fp32",), "fp16": ("fp16",)}  # noqa: RUF012

    def __init__(self, path: str, values: dict, published: bool, tree: tuple | None = None):
        self.path, self._values, self._tree = path, values, tree
        self._pending = _Digest(path) if published else None
        self.weights_sha256 = PUBLISHED_SHA256 if published else tree[1] if tree else _files.sha256_of(path)
        self.is_published = self.weights_sha256 == PUBLISHED_SHA256

    def confirm(self) -> None:
        """Raises CheckpointError if the file is not the published one that it was taken for."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._check(pending.result())

    def _check(self, digest: str) -> None:
        if digest == self.weights_sha256:
            return
        if self.is_published:
            raise CheckpointError(
                f"{self.path}: not the published weights: SHA-256 is {digest[:16]}..., {PUBLISHED_SHA256[:16]}... was "
                "published; pip install --force-reinstall deepfake-ecg==1.1.2"
            )
        raise CheckpointError(f"{self.path}: the file has changed since it was loaded; load it again")

    @cached_property
    def card(self) -> EcgCard:
        """Meaning of the output; for the published weights their own, whatever path they came from."""
        if self.is_published and not self._values:
            return PUBLISHED
        card = foreign_card(self._values, self.network.leads)
        if self.is_published:
            said = ("licence", "citation", "source", "title")
            card = replace(card, **{k: getattr(PUBLISHED, k) for k in said if k not in self._values}, assumed=())
        return card

    @cached_property
    def network(self):
        """The parsed and checked network. Raises CheckpointError, one line that names all that is wrong."""
        from ..export import pulse2pulse

        (tree, digest), self._tree = self._tree or read_tree(self.path), None
        self._check(digest)
        if kind := _IMAGES.get(kind_of(tree)):
            raise CheckpointError(f"{self.path}: it looks like a {kind} checkpoint, which makes images")
        try:
            return pulse2pulse.from_tree(tree)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from None

    def build(self, key, flavour: str = "portable", plan: str = "fp32") -> _cache.Graph:
        """The graph that ``key`` names, in one piece with its weights: see :meth:`graph`."""
        from ..export import onnx_file

        length = key.key if isinstance(key, WholeNumbers) else key
        card = replace(self.card, length=length)
        properties = onnx_file.metadata(NAME, flavour, self.weights_sha256, card.licence, card.citation, asdict(card))
        return _cache.Graph(*onnx_file.serialise(self._model(length, flavour, plan, key is not length), properties))

    def _model(self, length: int, flavour: str, plan: str, whole_numbers: bool):
        from ..export import cuda_ecg, ecg_graph

        if flavour == "cuda":
            scale = self.card.microvolt_scale if whole_numbers else None
            return cuda_ecg.build(self.network, length, plan, scale)
        return (ecg_graph.build_fused if flavour == "fused" else ecg_graph.build)(self.network, length)

    def graph(self, key, flavour: str = "portable", plan: str = "fp32") -> _cache.Graph:
        """The graph, from the cache where it is there and whole.

        ``key``: the length of its signals, or of :class:`WholeNumbers` of one. Raises DeviceError for float16 of
        another flavour than "cuda".
        """
        if plan == "fp16" and flavour != "cuda":
            raise DeviceError(NO_HALF)
        about = ["microvolt"] if isinstance(key, WholeNumbers) else []
        length = key.key if about else key
        card = json.dumps(asdict(replace(self.card, length=length)), sort_keys=True)
        words = ["ecg", flavour, *([plan] if plan != "fp32" else []), *about, self.weights_sha256, card]
        return _cache.graph(words, lambda: self.build(key, flavour, plan))

    def packed(self) -> Packed:
        """The network for the compiled kernels, from the cache where it is there and whole."""
        from .. import _fused

        key = ["ecg-packed", self.weights_sha256, _fused.packing()]
        array, note, sha256 = _cache.array(key, lambda: _fused.pack(self.network))
        return Packed(tuple(map(tuple, json.loads(note))), array, sha256)

    def description(self, key) -> Description:
        """The network itself, for any length; ``key`` as :meth:`graph` takes it."""
        ends = ("microvolt", self.card.microvolt_scale, 0.0) if isinstance(key, WholeNumbers) else None
        settings = {"network": self.network}
        return Description("pulse2pulse", settings, ends, digest("pulse2pulse", self.weights_sha256))

    def flavour(self, able: tuple[str, ...]) -> str:
        """What a backend that runs the flavours ``able``, the preferred one first, gets."""
        return able[0]

    def export(self, path: str, flavour: str = "portable") -> None:
        """Write the graph, weights inside, to ``path``."""
        _files.write_atomically(path, self.build(self.card.length, flavour).model)


class ExportedGraph:
    """An exported ONNX file: graph and card in one. It runs at the length it was exported for."""

    offers = ("graph",)
    plans = {"fp32": ("fp32",)}  # noqa: RUF012

    def __init__(self, path: str, data: bytes):
        from ..export import onnx_file

        self.path = path
        exported = onnx_file.check(data)
        properties, values = exported.properties, exported.card
        if properties["model"] != NAME:
            raise CheckpointError(f"it is a graph of {properties['model'][:60]!r}, not of {NAME}")
        self.weights_sha256 = properties["weights_sha256"]
        self._graph = _cache.Graph(data, properties["graph_sha256"])
        self._flavour = properties["flavour"]
        shape, assumed = exported.inputs.get("noise", ()), values.pop("assumed", [])
        if not isinstance(assumed, list) or len(shape) != 2 or len(exported.inputs) != 1:
            raise CheckpointError("its model card does not fit its graph")
        try:
            self.card = replace(foreign_card(values, shape[0]), assumed=tuple(map(str, assumed)))
        except InputError as error:
            raise CheckpointError(str(error)) from None
        if self.card.length != shape[1]:
            raise CheckpointError(f"its model card says {self.card.length} points a lead, its graph {shape[1]}")

    def confirm(self) -> None:
        """Checked when it was opened."""

    def flavour(self, able: tuple[str, ...]) -> str:
        """The file's own, whatever a backend runs."""
        return self._flavour

    def graph(self, length: int, flavour: str, plan: str = "fp32") -> _cache.Graph:
        """The file's bytes."""
        if length != self.card.length:
            raise InputError(f"{self.path}: exported for {self.card.length} points a lead, not for {length}")
        return self._graph

    def export(self, path: str, flavour: str | None = None) -> None:
        """Write the graph to ``path``. Raises InputError for another flavour than the file's."""
        if flavour not in (None, self._flavour):
            raise InputError(f"{self.path}: it is a {self._flavour} graph; --flavour {flavour} needs a checkpoint")
        _files.write_atomically(path, self._graph.model)


def open_source(path: str | None, values: dict | None = None, tree: tuple | None = None) -> Checkpoint | ExportedGraph:
    """The published weights (``path`` None), a checkpoint or an exported ONNX file.

    ``values`` are card entries; ``FILE.card.json`` beside a checkpoint is read when there is one and loses to them.
    ``tree`` is the checkpoint's object tree and its digest, where it was read already.
    """
    values = dict(values or {})
    if path is None:
        return Checkpoint(published_checkpoint(), values, published=True)
    path = os.fspath(path)
    if not path.lower().endswith(".onnx"):
        if os.path.isfile(path + ".card.json"):
            values = {**read_card(path + ".card.json"), **values}
        return Checkpoint(path, values, False, tree)
    if values:
        raise InputError(f"{path}: an exported file carries its own model card; export again to change it")
    try:
        return ExportedGraph(path, _files.read_regular(path))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {str(error).removeprefix(path + ': ')}") from None


def open_registered(
    card: Card, checkpoint: str | None = None, values: dict | None = None
) -> Checkpoint | ExportedGraph:
    """The weights of a registered Pulse2Pulse model, or ``checkpoint`` in their place, as :func:`open_source` does.

    Raises ModelError for a model of another loader.
    """
    if card.loader != "pulse2pulse":
        raise ModelError(f"{card.name}: this version of dsb_fast has no loader {card.loader}")
    if card.name == NAME or checkpoint is not None:
        return open_source(checkpoint, values)
    path = weights_of(card)
    if path.lower().endswith(".onnx"):
        return open_source(path, values)
    return Checkpoint(path, {**card.values(), **(values or {})}, published=False)

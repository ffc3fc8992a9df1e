"""The ECG model: its card, where its weights are, and what its network's output means."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.util import find_spec

import numpy as np

from .. import _cache, _files, _kernels, leads, random
from .._errors import CheckpointError, GenerationError, InputError, ModelError

NAME = "cardiovascular.ecg"
PUBLISHED_SHA256 = "676619cb3b81ed637e5ef93fabd591220d047bc4f5e199ffce930a3affb05cba"
CITATION = (
    "Thambawita V, Isaksen JL, Hicks SA, et al. DeepFake electrocardiograms using generative adversarial networks are "
    "the beginning of the end for privacy issues in medicine. Scientific Reports 11, 21896 (2021). "
    "https://doi.org/10.1038/s41598-021-01295-2"
)
_MICROVOLT_PER_UNIT = {"uV": 1, "mV": 1000}
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class EcgCard:
    """What the numbers of a Pulse2Pulse network mean.

    ``signal * scale`` is in ``unit`` ("uV" or "mV"); ``length`` points a lead at ``sampling_rate_hz``; ``assumed``
    names the values that no card gave and that were taken from the published model.
    """

    leads: tuple[str, ...]
    length: int = 5000
    scale: float = 6000.0
    unit: str = "uV"
    sampling_rate_hz: float = 500.0
    title: str = "Pulse2Pulse ECG generator, foreign checkpoint"
    licence: str = _UNKNOWN
    citation: str = _UNKNOWN
    source: str = _UNKNOWN
    assumed: tuple[str, ...] = ()

    @property
    def microvolt_scale(self) -> float:
        """What turns the network's signal into microvolts."""
        return float(np.float32(self.scale * _MICROVOLT_PER_UNIT[self.unit]))

    @property
    def duration_s(self) -> float:
        """Seconds a sample lasts."""
        return self.length / self.sampling_rate_hz


PUBLISHED = EcgCard(
    leads=leads.LEADS_8,
    title="8-lead 10-second ECG, Pulse2Pulse",
    licence="MIT",
    citation=CITATION,
    source="g_stat.pt of the Python package deepfake-ecg 1.1.2",
)


def _check(card: EcgCard, channels: int | None) -> EcgCard:
    def wrong(what: str):
        return InputError(f"model card: {what}")

    if isinstance(card.length, bool) or not isinstance(card.length, int) or card.length <= 0 or card.length % 2500:
        raise wrong(f"length is {card.length!r}; Pulse2Pulse needs a positive multiple of 2500")
    if card.length > 2_500_000:
        raise wrong(f"length is {card.length}; at most 2500000 points a lead")
    if card.unit not in _MICROVOLT_PER_UNIT:
        raise wrong(f"unit is {card.unit!r}; it must be uV or mV")
    for name in ("scale", "sampling_rate_hz"):
        value = getattr(card, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
            raise wrong(f"{name} is {value!r}; it must be a number above 0")
    if card.microvolt_scale > 32767:
        raise wrong(f"scale is {card.scale} {card.unit}, more than the 32767 microvolts that int16 holds")
    if not card.leads or not all(isinstance(lead, str) and lead.isprintable() and lead for lead in card.leads):
        raise wrong("leads must be a list of names")
    if len(set(card.leads)) != len(card.leads) or any("," in lead for lead in card.leads):
        raise wrong("leads must be different names without commas")
    if channels is not None and len(card.leads) != channels:
        raise wrong(f"leads has {len(card.leads)} names, the network has {channels} leads")
    for name in ("title", "licence", "citation", "source"):
        if not isinstance(getattr(card, name), str):
            raise wrong(f"{name} must be text")
    return card


def _default_leads(channels: int) -> tuple[str, ...]:
    if channels == 8:
        return leads.LEADS_8
    return leads.LEADS_12 if channels == 12 else tuple(f"lead_{k + 1}" for k in range(channels))


_CARD_KEYS = ("leads", "length", "scale", "unit", "sampling_rate_hz", "title", "licence", "citation", "source")
_SAID = ("leads", "length", "scale", "unit", "sampling_rate_hz")  # an assumption about one of these is reported


def foreign_card(values: dict, channels: int) -> EcgCard:
    """The card of a checkpoint that is not the published one, from what its user says of it."""
    unknown = sorted(set(values) - set(_CARD_KEYS))
    if unknown:
        raise InputError(f"model card: no entry is called {', '.join(unknown)}; there are {', '.join(_CARD_KEYS)}")
    values = dict(values)
    if isinstance(values.get("leads"), str):
        values["leads"] = values["leads"].split(",")
    if isinstance(values.get("leads", []), (list, tuple)):
        values["leads"] = tuple(values.get("leads") or _default_leads(channels))
    else:
        raise InputError("model card: leads must be a list of names")
    assumed = tuple(key for key in _SAID if key not in values or (key == "leads" and channels not in (8, 12)))
    return _check(replace(EcgCard(leads=values["leads"]), **values, assumed=assumed), channels)


def card_values(parts: list[str] | None) -> dict:
    """Card entries from the command line: files of JSON, and KEY=VALUE, later ones first served."""
    values: dict = {}
    for part in parts or []:
        key, is_pair, text = part.partition("=")
        if not is_pair:
            values.update(_read_card(part))
            continue
        try:
            values[key] = (
                text if key in ("unit", "leads", "title", "licence", "citation", "source") else json.loads(text)
            )
        except ValueError:
            raise InputError(f"--card: {part!r}: {text!r} is not a number") from None
    return values


def _read_card(path: str) -> dict:
    try:
        with open(path, "rb") as file:
            values = json.loads(file.read(1 << 20))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; --card takes a JSON file or KEY=VALUE") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not JSON; a model card is one object with {', '.join(_CARD_KEYS)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a JSON object; a model card has {', '.join(_CARD_KEYS)}")
    return values


def published_checkpoint() -> str:
    """Path of g_stat.pt in the installed package deepfake-ecg, which is not imported."""
    spec = find_spec("deepfakeecg")
    places = list(spec.submodule_search_locations or []) if spec else []
    for place in places:
        path = os.path.join(place, "checkpoints", "g_stat.pt")
        if os.path.isfile(path):
            return path
    raise ModelError(
        f"{NAME}: its weights are not here; pip install deepfake-ecg==1.1.2 brings them, or give --checkpoint"
    )


class Checkpoint:
    """A checkpoint file that has been identified by its digest; it is parsed only when its graph is not cached."""

    def __init__(self, path: str, data: bytes, values: dict):
        self.path = path
        self._data: bytes | None = data
        self.weights_sha256 = hashlib.sha256(data).hexdigest()
        self.is_published = self.weights_sha256 == PUBLISHED_SHA256
        self._values = values

    @cached_property
    def card(self) -> EcgCard:
        """Meaning of the output; for the published weights their own, whatever path they came from."""
        if self.is_published and not self._values:
            return PUBLISHED
        card = foreign_card(self._values, self.network().leads)
        if self.is_published:
            keep = {
                k: getattr(PUBLISHED, k) for k in ("licence", "citation", "source", "title") if k not in self._values
            }
            card = replace(card, **keep, assumed=())
        return card

    def network(self):
        """The parsed and checked network."""
        return self._network

    @cached_property
    def _network(self):
        from ..export import pulse2pulse, torch_file

        data = self._data
        if data is None:
            data = _files.read_regular(self.path)
            if hashlib.sha256(data).hexdigest() != self.weights_sha256:
                raise CheckpointError(f"{self.path}: the file has changed since it was loaded; load it again")
        try:
            return pulse2pulse.from_tree(torch_file.parse(data))
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from None
        except (MemoryError, RecursionError):
            raise CheckpointError(f"{self.path}: it is nested too deeply to be a checkpoint") from None

    def _build(self, length: int) -> _cache.Graph:
        from ..export import ecg_graph, onnx_file

        card = replace(self.card, length=length)
        properties = onnx_file.metadata(
            NAME, "portable", self.weights_sha256, card.licence, card.citation, asdict(card)
        )
        return _cache.Graph(*onnx_file.serialise(ecg_graph.build(self.network(), length), properties))

    def graph(self, length: int) -> _cache.Graph:
        """The portable ONNX graph for signals of ``length`` points, from the cache where it is there and whole."""
        card = json.dumps(asdict(replace(self.card, length=length)), sort_keys=True)
        return _cache.graph(["ecg", "portable", self.weights_sha256, card], lambda: self._build(length))

    def export(self, path: str) -> None:
        """Write the graph to ``path``."""
        _files.write_atomically(path, self.graph(self.card.length).data)

    def release(self) -> None:
        """Let go of the file's bytes; they are read again if the network is needed after all."""
        self._data = None


class ExportedGraph:
    """An exported ONNX file: graph and card in one. It runs at the length it was exported for."""

    def __init__(self, path: str, data: bytes):
        from ..export import onnx_file

        self.path = path
        properties, values, shape = onnx_file.check(data)
        if properties["model"] != NAME:
            raise CheckpointError(f"it is a graph of {properties['model'][:60]!r}, not of {NAME}")
        self.weights_sha256 = properties["weights_sha256"]
        self._graph = _cache.Graph(data, properties["graph_sha256"])
        assumed = values.pop("assumed", [])
        if not isinstance(assumed, list) or len(shape) != 2:
            raise CheckpointError("its model card does not fit its graph")
        try:
            self.card = replace(foreign_card(values, shape[0]), assumed=tuple(map(str, assumed)))
        except InputError as error:
            raise CheckpointError(str(error)) from None
        if self.card.length != shape[1]:
            raise CheckpointError(f"its model card says {self.card.length} points a lead, its graph {shape[1]}")
        self.is_published = self.weights_sha256 == PUBLISHED_SHA256

    def graph(self, length: int) -> _cache.Graph:
        """The file's bytes."""
        if length != self.card.length:
            raise InputError(f"{self.path}: exported for {self.card.length} points a lead, not for {length}")
        return self._graph

    def export(self, path: str) -> None:
        """Write the graph to ``path``."""
        _files.write_atomically(path, self._graph.data)

    def release(self) -> None:
        """The bytes are the graph; they stay."""


def open_checkpoint(path: str | None, values: dict | None = None) -> Checkpoint | ExportedGraph:
    """The published weights (``path`` None), a checkpoint or an exported ONNX file.

    ``values`` are card entries; ``FILE.card.json`` beside a checkpoint is read when there is one and loses to them.
    """
    values = dict(values or {})
    published = path is None
    path = published_checkpoint() if published else os.fspath(path)
    data = _files.read_regular(path)
    if not published and os.path.isfile(path + ".card.json"):
        values = {**_read_card(path + ".card.json"), **values}
    if data[:1] not in (b"P", b"\x80") and path.lower().endswith(".onnx"):
        if values:
            raise InputError(f"{path}: an exported file carries its own model card; export again to change it")
        try:
            return ExportedGraph(path, data)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
    checkpoint = Checkpoint(path, data, values)
    if published and not checkpoint.is_published:
        raise CheckpointError(
            f"{path}: not the published weights: SHA-256 is {checkpoint.weights_sha256[:16]}..., "
            f"{PUBLISHED_SHA256[:16]}... was published; pip install --force-reinstall deepfake-ecg==1.1.2"
        )
    return checkpoint


@dataclass(frozen=True)
class EcgOptions:
    """What shapes a sample beside model, weights, seed and index."""

    leads: int = 8


class EcgModel:
    """Noise in, microvolts out: what the bulk engine and :class:`dsb_fast.Generator` know of the ECG network."""

    name = NAME
    default_format = "asc"
    noise_stream = 0
    dtype = np.int16

    def __init__(self, source: Checkpoint | ExportedGraph):
        self.source = source
        self.card = source.card

    def options(self, **given) -> EcgOptions:
        """Checked options. Raises InputError for one that this model does not have."""
        native = len(self.card.leads)
        wanted = given.pop("leads", None)
        if given:
            raise InputError(f"{NAME}: no option is called {', '.join(sorted(given))}; there is leads")
        allowed = (8, 12) if self.card.leads == leads.LEADS_8 else (native,)
        if wanted is None:
            wanted = native
        if isinstance(wanted, bool) or wanted not in allowed:
            raise InputError(f"leads: {wanted!r}; this model makes {' or '.join(map(str, allowed))}")
        return EcgOptions(int(wanted))

    def lead_names(self, options: EcgOptions) -> tuple[str, ...]:
        """Names of a sample's leads, in order."""
        return self.card.leads if options.leads == len(self.card.leads) else leads.LEADS_12

    def sample_shape(self, options: EcgOptions) -> tuple[int, ...]:
        """Shape of one sample, int16."""
        return (options.leads, self.card.length)

    def inputs(self, seed: int, start: int, count: int, options: EcgOptions) -> dict[str, np.ndarray]:
        """The network's inputs for ``count`` samples from ``start`` on."""
        shape = (len(self.card.leads), self.card.length)
        return {"noise": random.uniform(seed, start, count, shape, self.noise_stream, -1.0, 1.0, threads=1)}

    def outputs(self, arrays: dict[str, np.ndarray], options: EcgOptions) -> np.ndarray:
        """int16 microvolts [N, leads, length] of the network's ``signal``, cut toward zero."""
        signal = np.ascontiguousarray(arrays["signal"], np.float32)
        signal_uv = np.empty(signal.shape, np.int16)
        if not _kernels.microvolt(signal, self.card.microvolt_scale, signal_uv):
            raise GenerationError(
                f"{NAME}: the network's output has values that are not numbers; the weights are unusable"
            )
        if options.leads != signal_uv.shape[1]:
            signal_uv = leads.derive_12(signal_uv)
        return signal_uv

    def check_run_inputs(self, given: dict) -> dict[str, np.ndarray]:
        """The raw network's inputs, checked. Raises InputError that names the input."""
        unknown = sorted(set(given) - {"noise"})
        if unknown or "noise" not in given:
            raise InputError(
                f"run: {NAME} takes exactly one input, noise" + (f", not {', '.join(unknown)}" if unknown else "")
            )
        noise = np.asarray(given["noise"])
        channels = len(self.card.leads)
        if noise.ndim != 3 or noise.shape[1] != channels or not noise.shape[2] or noise.shape[2] % 2500:
            raise InputError(f"noise is {list(noise.shape)}, needs [N, {channels}, {self.card.length}]")
        if noise.dtype.kind not in "fiu":
            raise InputError(f"noise is {noise.dtype}, needs float32")
        return {"noise": np.ascontiguousarray(noise, np.float32)}

    def info(self) -> dict:
        """The model card as a plain dictionary."""
        card = self.card
        return {
            "model": NAME,
            "category": NAME.partition(".")[0],
            "title": card.title,
            "synthetic": True,
            "inputs": {
                "noise": {"shape": ["N", len(card.leads), card.length], "dtype": "float32", "range": [-1.0, 1.0]}
            },
            "output": {"shape": ["N", len(card.leads), card.length], "dtype": "int16", "unit": "microvolt"},
            "leads": list(card.leads),
            "length": card.length,
            "sampling_rate_hz": card.sampling_rate_hz,
            "duration_s": card.duration_s,
            "scale": card.scale,
            "unit": card.unit,
            "assumed": list(card.assumed),
            "licence": card.licence,
            "citation": card.citation,
            "source": card.source,
            "checkpoint": self.source.path,
            "weights_sha256": self.source.weights_sha256,
        }

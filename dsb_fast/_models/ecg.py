"""The ECG model: its card, and what its network's inputs and outputs mean. ecg_source.py has its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import _json_text, _kernels, leads, random
from .._errors import GenerationError, InputError
from . import registry
from .card import NEAR, Near
from .on_device import Draw, WholeNumbers, whole_numbers

NAME = "cardiovascular.ecg"
_MICROVOLT_PER_UNIT = {"uV": 1, "mV": 1000}


@dataclass(frozen=True)
class EcgCard:
    """What the numbers of a Pulse2Pulse network mean.

    ``signal * scale`` is in ``unit`` ("uV" or "mV"); ``length`` points a lead at ``sampling_rate_hz``; ``assumed``
    names the values that no card gave and that were taken from the published model.
    """

    leads: tuple[str, ...]
    length: int
    scale: float
    unit: str
    sampling_rate_hz: float
    title: str
    licence: str
    citation: str
    source: str
    assumed: tuple[str, ...] = ()

    @property
    def microvolt_scale(self) -> float:
        """What turns the network's signal into microvolts."""
        return float(np.float32(self.scale * _MICROVOLT_PER_UNIT[self.unit]))

    @property
    def duration_s(self) -> float:
        """Seconds a sample lasts."""
        return self.length / self.sampling_rate_hz


PUBLISHED = EcgCard(**registry.find(NAME).values())
_FOREIGN = replace(
    PUBLISHED,
    title="Pulse2Pulse ECG generator, foreign checkpoint",
    licence="unknown",
    citation="unknown",
    source="unknown",
)
_LARGEST = 1e30  # of what a card says in numbers


def _check(card: EcgCard, channels: int | None) -> EcgCard:
    def wrong(what: str):
        return InputError(f"model card: {what}")

    if isinstance(card.length, bool) or not isinstance(card.length, int) or card.length <= 0 or card.length % 2500:
        raise wrong(f"length is {card.length!r}; Pulse2Pulse needs a positive multiple of 2500")
    if card.length > 2_500_000:
        raise wrong(f"length is {card.length}; at most 2500000 points a lead")
    if not isinstance(card.unit, str) or card.unit not in _MICROVOLT_PER_UNIT:
        raise wrong(f"unit is {card.unit!r}; it must be uV or mV")
    for name in ("scale", "sampling_rate_hz"):
        value = getattr(card, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _LARGEST:
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
    return _check(replace(_FOREIGN, **values, assumed=assumed), channels)


def card_values(parts: list[str] | None) -> dict:
    """Card entries from the command line: files of JSON, and KEY=VALUE, later ones first served."""
    values: dict = {}
    for part in parts or []:
        key, is_pair, text = part.partition("=")
        if not is_pair:
            values.update(read_card(part))
            continue
        try:
            values[key] = (
                text if key in ("unit", "leads", "title", "licence", "citation", "source") else _json_text.parse(text)
            )
        except ValueError:
            raise InputError(f"--card: {part!r}: {text!r} is not a number") from None
    return values


def read_card(path: str) -> dict:
    try:
        with open(path, "rb") as file:
            values = _json_text.parse(file.read(1 << 20))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; --card takes a JSON file or KEY=VALUE") from None
    except ValueError:
        raise InputError(f"{path}: not JSON; a model card is one object with {', '.join(_CARD_KEYS)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a JSON object; a model card has {', '.join(_CARD_KEYS)}")
    return values


@dataclass(frozen=True)
class EcgOptions:
    """What shapes a sample beside model, weights, seed and index."""

    leads: int = 8


class EcgModel:
    """Noise in, microvolts out: what the bulk engine and :class:`dsb_fast.Generator` know of the ECG network."""

    default_format = "asc"
    noise_stream = 0
    dtype = np.int16

    def __init__(self, source, name: str = NAME):
        self.source = source
        self.name = name
        self.card = source.card
        self.key = self.card.length  # of the source's graph that makes samples
        self.refused = registry.find(name if name in registry.REGISTERED else NAME).refused

    def near(self, precision: str) -> Near:
        """How far from float32 a precision may be: what the card says, or of another file what the contract does."""
        card = registry.REGISTERED.get(self.name)
        return (card.near if card else NEAR).get(precision) or NEAR[precision]

    def key_of(self, inputs: dict[str, np.ndarray]) -> int:
        """The key of the graph that takes ``inputs``: one a length."""
        return inputs["noise"].shape[-1]

    @staticmethod
    def batch_size(backend) -> int:
        """The backend's own."""
        return backend.batch_size

    def options(self, **given) -> EcgOptions:
        """Checked options. Raises InputError for one that this model does not have."""
        native = len(self.card.leads)
        wanted = given.pop("leads", None)
        if given:
            raise InputError(f"{self.name}: no option is called {', '.join(sorted(given))}; there is leads")
        allowed = (8, 12) if self.card.leads == leads.LEADS_8 else (native,)
        if wanted is None:
            wanted = native
        if isinstance(wanted, bool) or wanted not in allowed:
            raise InputError(f"leads: {wanted!r}; this model makes {' or '.join(map(str, allowed))}")
        return EcgOptions(int(wanted))

    def lead_names(self, options: EcgOptions) -> tuple[str, ...]:
        """Names of a sample's leads, in order."""
        return self.card.leads if options.leads == len(self.card.leads) else leads.LEADS_12

    def context(self, options: EcgOptions) -> dict:
        """What a dataset's recipe says of ECGs beside what it says of every sample."""
        return {
            "unit": "microvolt",
            "lead_names": list(self.lead_names(options)),
            "sampling_rate_hz": self.card.sampling_rate_hz,
            "scale": self.card.scale,
            "scale_unit": self.card.unit,
        }

    def sample_shape(self, options: EcgOptions) -> tuple[int, ...]:
        """Shape of one sample, int16."""
        return (options.leads, self.card.length)

    def samples(
        self, backend_of, seed: int, start: int, count: int, options: EcgOptions, threads: int = 1
    ) -> np.ndarray:
        """int16 [count, leads, length]: one call of the backend."""
        backend = backend_of(self.key)
        if backend.draws:
            draws = [Draw("uniform", self.noise_stream, {"noise": (len(self.card.leads), self.card.length)}, -1.0)]
            made = whole_numbers(self.name, backend_of(WholeNumbers(self.key)), draws, seed, start, count, {})
            return self._leads(made, options)
        if backend.takes == "graph":
            return self.outputs(backend.run(self.inputs(seed, start, count, options)), options)
        scale = self.card.microvolt_scale
        signal_uv = backend.microvolts(seed, start, count, self.card.length, scale, threads)
        return self._leads(signal_uv, options)

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
                f"{self.name}: the network's output has values that are not numbers; the weights are unusable"
            )
        return self._leads(signal_uv, options)

    def export(self, path: str, flavour: str = "portable", **options) -> None:
        """Write the graph, weights inside, to ``path``. Raises InputError for an option of other models."""
        if options:
            raise InputError(f"{NAME}: export has no option {', '.join(options)}; that is for image models")
        self.source.export(path, flavour)

    @staticmethod
    def _leads(signal_uv: np.ndarray, options: EcgOptions) -> np.ndarray:
        return signal_uv if options.leads == signal_uv.shape[1] else leads.derive_12(signal_uv)

    def check_run_inputs(self, given: dict) -> dict[str, np.ndarray]:
        """The raw network's inputs, checked. Raises InputError that names the input."""
        unknown = sorted(set(given) - {"noise"})
        if unknown or "noise" not in given:
            raise InputError(
                f"run: {self.name} takes exactly one input, noise" + (f", not {', '.join(unknown)}" if unknown else "")
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
            "model": self.name,
            "category": self.name.partition(".")[0],
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

"""Model cards: what a registered model is and where its weights are, as TOML (docs/models.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields

import numpy as np

from .._errors import InputError

CATEGORIES = (
    "cardiovascular", "digestive", "endocrine", "integumentary", "lymphatic", "muscular", "nervous", "urinary",
    "reproductive", "respiratory", "skeletal",
)  # fmt: skip
PRECISIONS = ("fp32", "fp16", "bf16")
# What a checkpoint of each loader does not say, and what a caller of each may leave out.
_OPTIONS = {
    "pulse2pulse": {"leads": "texts", "length": "count", "scale": "number", "unit": "text"},
    "stylegan2": {
        "image_size": "count", "network_capacity": "count", "attn_layers": "counts", "lr_mlp": "number",
        "latent_dim": "count", "style_depth": "count", "fmap_max": "count", "transparent": "flag", "no_const": "flag",
    },
}  # fmt: skip
_DEFAULTS = {
    "pulse2pulse": {"leads": "count"},
    "stylegan2": {"truncation": "number", "truncation_cutoff": "count", "network": "network", "noise": "noise"},
}
_WORDS = ("title", "licence", "citation", "source")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Array:
    """An input or output: ``shape`` has numbers, and names for what varies; ``range`` is the least and the largest."""

    shape: tuple[int | str, ...]
    dtype: str
    unit: str | None = None
    range: tuple[float, float] | None = None
    meaning: str | None = None

    def info(self) -> dict:
        """As a plain dictionary, without what the card leaves open."""
        values = {"shape": list(self.shape), "dtype": self.dtype, "unit": self.unit}
        values |= {"range": self.range and list(self.range), "meaning": self.meaning}
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class Weights:
    """Where the weights are: ``file`` inside the installed Python package ``package``, or to be fetched from ``url``.

    ``install`` is the command that brings the package. ``size`` in bytes and ``sha256`` are None where nobody recorded
    them. ``options`` are what the file itself does not say.
    """

    file: str
    package: str | None = None
    install: str | None = None
    url: str | None = None
    size: int | None = None
    sha256: str | None = None
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Near:
    """What a ``near`` precision keeps to: shares of whole numbers, beside float32's. None bounds nothing."""

    equal_share: float | None = None  # at least
    more_than_one_apart: float | None = None  # at most
    more_than_two_apart: float | None = None  # at most

    def refusal(self, made: np.ndarray, reference: np.ndarray) -> str | None:
        """Why whole numbers ``made`` are further from ``reference`` than this, or None if they are not."""
        apart = np.abs(np.subtract(made, reference, dtype=np.int32))
        equal, furthest = float((apart == 0).mean()), apart.max(initial=0)
        if self.equal_share is not None and equal < self.equal_share:
            return f"{_percent(equal)} of values equal float32's, the furthest {furthest} off; " + (
                f"{_percent(self.equal_share)} would be accepted"
            )
        for steps, most in ((1, self.more_than_one_apart), (2, self.more_than_two_apart)):
            share = float((apart > steps).mean())
            if most is not None and share > most:
                return (
                    f"{_percent(share)} of values are more than {steps} from float32's, the furthest {furthest}; "
                    + (f"{_percent(most)} would be accepted")
                )
        return None


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


# What the contract asks of any two float32 backends, and of bfloat16 images.
NEAR = {"fp32": Near(0.995, 1e-6), "bf16": Near(more_than_two_apart=0.01), "fp16": Near(more_than_two_apart=0.01)}


@dataclass(frozen=True)
class Card:
    """A registered model, ``category.model``."""

    name: str
    title: str
    loader: str
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    licence: str
    citation: str
    source: str
    intended_use: str
    limits: str
    weights: Weights
    sampling_rate_hz: float | None = None
    near: dict[str, Near] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # precisions that failed the acceptance test, and how far
    defaults: dict = field(default_factory=dict)

    @property
    def category(self) -> str:
        """The system of the body that the model belongs to."""
        return self.name.partition(".")[0]

    def values(self) -> dict:
        """What the checkpoint does not say of the network and its makers, by the names that its loader has for it."""
        open_ = {"sampling_rate_hz": self.sampling_rate_hz, "truncation": self.defaults.get("truncation")}
        said = {key: value for key, value in open_.items() if value is not None}
        return {**self.weights.options, **said, **{name: getattr(self, name) for name in _WORDS}}

    def info(self) -> dict:
        """The card as a plain dictionary; what it leaves open is not in it."""
        said = ("title", "loader", "licence", "citation", "source", "intended_use", "limits")
        weights = {key: getattr(self.weights, key) for key in ("package", "install", "url", "file", "size")}
        values = {
            "model": self.name,
            "category": self.category,
            **{name: getattr(self, name) for name in said[:2]},
            "synthetic": True,
            "inputs": {name: array.info() for name, array in self.inputs.items()},
            "outputs": {name: array.info() for name, array in self.outputs.items()},
            **{key: list(v) if isinstance(v, tuple) else v for key, v in self.weights.options.items()},
            "sampling_rate_hz": self.sampling_rate_hz,
            "defaults": dict(self.defaults),
            "near": {name: vars(near).copy() for name, near in self.near.items()},
            "refused": dict(self.refused) or None,
            **{name: getattr(self, name) for name in said[2:]},
            "weights": {key: value for key, value in weights.items() if value is not None},
            "weights_sha256": self.weights.sha256,
        }
        return {key: value for key, value in values.items() if value is not None}


def _is_text(value) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()


def _is_count(value) -> bool:
    return type(value) is int and 0 < value < 1 << 53


def _is_number(value) -> bool:
    return type(value) in (int, float) and abs(value) < 1e30


_KINDS = {
    "text": (_is_text, "must be text"),
    "texts": (lambda v: isinstance(v, list) and bool(v) and all(map(_is_text, v)), "must be a list of texts"),
    "count": (_is_count, "must be a whole number above 0"),
    "counts": (lambda v: isinstance(v, list) and all(map(_is_count, v)), "must be a list of whole numbers above 0"),
    "number": (_is_number, "must be a number"),
    "flag": (lambda v: isinstance(v, bool), "must be true or false"),
    "shape": (
        lambda v: isinstance(v, list) and all(_is_count(n) or _is_text(n) for n in v),
        'must be a list of sizes, or names of sizes that vary, as in ["N", 8, 5000]',
    ),
    "range": (
        lambda v: isinstance(v, list) and len(v) == 2 and all(map(_is_number, v)) and v[0] < v[1],
        "must be the least and the largest number",
    ),
    "network": (lambda v: v in ("ema", "plain"), "must be ema or plain"),
    "noise": (lambda v: v in ("random", "const", "none"), "must be random, const or none"),
    "share": (lambda v: _is_number(v) and 0 <= v <= 1, "must be a number from 0 to 1"),
}


class _Table:
    """A table of the file: each key is asked for once; at the end what was not asked for is an error."""

    def __init__(self, file: str, name: str, values: object):
        self.file, self.name, self._asked = file, name, set()
        if not isinstance(values, dict):
            raise self.wrong("", "must be a table")
        self._values = values

    def wrong(self, key: str, what: str) -> InputError:
        """An error about ``key`` of this table."""
        return InputError(f"{self.file}: {'.'.join(part for part in (self.name, key) if part)}: {what}")

    def get(self, key: str, kind: str, needed: bool = False):
        """The checked value, lists as tuples; None if it is not there. Raises InputError."""
        self._asked.add(key)
        if key not in self._values:
            if needed:
                raise self.wrong(key, "is missing")
            return None
        value, (holds, what) = self._values[key], _KINDS[kind]
        if kind == "text" and isinstance(value, str):
            value = " ".join(value.split())  # long ones stand on several lines
        if not holds(value):
            raise self.wrong(key, f"{repr(value)[:60]}; it {what}")
        if kind == "number":
            return float(value)
        return tuple(value) if isinstance(value, list) else value

    def every(self, kinds: dict[str, str]) -> dict:
        """The values of ``kinds`` that are there."""
        found = {key: self.get(key, kind) for key, kind in kinds.items()}
        return {key: value for key, value in found.items() if value is not None}

    def table(self, key: str, needed: bool = False) -> _Table:
        """The table ``key``, empty if it is not there."""
        self._asked.add(key)
        if needed and not self._values.get(key):
            raise self.wrong(key, "is missing")
        return _Table(self.file, f"{self.name}.{key}" if self.name else key, self._values.get(key, {}))

    def tables(self) -> dict[str, _Table]:
        """Every entry, each a table."""
        self._asked.update(self._values)
        return {key: _Table(self.file, f"{self.name}.{key}", value) for key, value in self._values.items()}

    def end(self) -> None:
        """Raises InputError for a key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                there = ", ".join(sorted(self._asked))
                raise self.wrong(repr(key)[1:-1][:60], f"there is no such key; there are {there}")


def _array(table: _Table) -> Array:
    kinds = {"unit": "text", "range": "range", "meaning": "text"}
    array = Array(table.get("shape", "shape", True), table.get("dtype", "text", True), **table.every(kinds))
    table.end()
    return array


def _near(table: _Table) -> Near:
    kinds = dict.fromkeys((field.name for field in fields(Near)), "share")
    given = table.every(kinds)
    table.end()
    if not given:
        raise table.wrong("", f"it bounds nothing; there are {', '.join(kinds)}")
    return Near(**given)


def _weights(table: _Table, loader: str) -> Weights:
    kinds = {"package": "text", "install": "text", "url": "text", "size": "count", "sha256": "text"}
    file, values = table.get("file", "text", True), table.every(kinds)
    options = table.table("options")
    table.end()
    weights = Weights(file, **values, options=options.every(_OPTIONS[loader]))
    options.end()
    if (weights.package is None) == (weights.url is None):
        raise table.wrong("", "name either a package or a url")
    if weights.package is not None and not weights.package.isidentifier():
        raise table.wrong("package", f"{weights.package[:60]!r}; it must be the name that import takes, without dots")
    if weights.url is not None and not re.fullmatch(r"https://[^\s/@]+/\S+", weights.url):
        raise table.wrong("url", f"{weights.url[:60]!r}; it must begin with https:// and name a file")
    parts = file.split("/")
    if "\\" in file or not all(parts) or {".", ".."} & set(parts) or (weights.url is not None and len(parts) > 1):
        raise table.wrong("file", f"{file[:60]!r}; it must be a file's name, in a package with the folders above it")
    if weights.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", weights.sha256):
        raise table.wrong("sha256", f"{weights.sha256[:60]!r}; it must be 64 digits of 0-9 and a-f")
    return weights


def check_name(name: str) -> str:
    """Why ``name`` can't be a model's; empty if it can."""
    category, _, model = name.partition(".")
    if category in CATEGORIES and re.fullmatch(r"[a-z][a-z0-9_]{0,62}", model):
        return ""
    return f"{name[:60]!r}; it must be category.model, the category one of {', '.join(CATEGORIES)}"


def parse(data: bytes, file: str) -> Card:
    """The card that the bytes of ``file`` hold. Raises InputError: file, key, what is wrong with it."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib

    if len(data) > _MAX_BYTES:
        raise InputError(f"{file}: {len(data)} bytes; a model card has at most {_MAX_BYTES}")
    try:
        values = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not TOML: {' '.join(str(error).split())[:120]}") from None
    top = _Table(file, "", values)
    name, loader = top.get("name", "text", True), top.get("loader", "text", True)
    if problem := check_name(name):
        raise top.wrong("name", problem)
    if loader not in _OPTIONS:
        raise top.wrong("loader", f"{loader[:60]!r}; there are {', '.join(_OPTIONS)}")
    words = {key: top.get(key, "text", True) for key in (*_WORDS, "intended_use", "limits")}
    rate = top.get("sampling_rate_hz", "number")
    arrays = {side: top.table(side, True).tables() for side in ("inputs", "outputs")}
    near, refused, defaults = top.table("near").tables(), top.table("refused"), top.table("defaults")
    weights = _weights(top.table("weights", True), loader)
    top.end()
    if rate is not None and rate <= 0:
        raise top.wrong("sampling_rate_hz", f"{rate}; it must be above 0")
    if unknown := sorted(set(near) - set(PRECISIONS)):
        raise top.wrong(f"near.{unknown[0][:60]}", f"there is no such precision; there are {', '.join(PRECISIONS)}")
    card = Card(
        name=name,
        loader=loader,
        **words,
        **{side: {key: _array(table) for key, table in tables.items()} for side, tables in arrays.items()},
        weights=weights,
        sampling_rate_hz=rate,
        near={precision: _near(table) for precision, table in near.items()},
        refused=refused.every(dict.fromkeys(PRECISIONS, "text")),
        defaults=defaults.every(_DEFAULTS[loader]),
    )
    refused.end()
    defaults.end()
    return card

"""``zarr``: the whole folder is a Zarr group (version 3), its array ``signal_uv`` int16 [n, leads, time] in shards.

Of a filtered dataset ``signal_uv`` has room for all samples and chunks of those that were kept; ``kept``, bool [n],
says which. Labels are arrays float64 [n]. After the Zarr core specification 3.0 and its codec ``sharding_indexed``.
Written here because package zarr writes to places of its own only, and unsynced (docs/formats.md); tests read it back
with that package.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from ..._errors import InputError
from ..._filter.selection import KEEP
from .base import SIGNAL, Format
from .provenance import provenance, words_digest
from .reading import read_exactly

_KEPT = "kept"
_ARRAY, _META = "signal_uv", "zarr.json"
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_ABSENT = (1 << 64) - 1  # offset and size of a chunk that is not there


class ZarrFormat(Format):
    """A shard is a shard of Zarr's, of a chunk a sample: the samples as they are, then where each of them lies.

    Its name is what Zarr calls it, ``signal_uv/c.<k>.0.0`` with k counted from the dataset's first shard.
    """

    name, suffixes, file_per_sample = "zarr", (".0.0",), False
    sparse = True
    kinds = (SIGNAL,)

    def __init__(self, context):
        super().__init__(context)
        if context.dtype != "int16" or len(context.shape) != 2 or min(context.shape) < 1:
            raise InputError(f"format zarr: samples are {context.dtype} {list(context.shape)}, not int16 [leads, time]")
        self._size = 2 * math.prod(context.shape)

    @property
    def _start(self) -> int:
        return self.context.about.get("start", 0)

    @property
    def _shard_size(self) -> int:
        """Asked for late: a recipe gets its own once it has a format."""
        return self.context.about.get("shard_size", self.default_shard_size)

    def file_names(self, shard):
        return [f"{_ARRAY}/c.{self._place(shard)}.0.0"]

    def _place(self, shard) -> int:
        """Which shard of the dataset it is."""
        return (shard.first - self._start) // self._shard_size

    def label_files(self, shard):
        return [f"{name}/c.{self._place(shard)}" for name in self.context.label_names]

    def label_bytes(self, shard):
        for name in self.context.label_names:
            values = np.full(self._shard_size, np.nan, "<f8")
            values[list(_offsets(shard))] = shard.labels[name]
            yield values.tobytes()

    def decode_labels(self, files, shard):
        found = {}
        for name, file in zip(self.context.label_names, files, strict=True):
            values = np.frombuffer(read_exactly(file, 8 * self._shard_size, name), "<f8")
            found[name] = values[list(_offsets(shard))]
        return found

    @cached_property
    def _words(self) -> dict:
        """The attributes of the group."""
        context = self.context
        words = {**provenance(context), "unit": context.about.get("unit", "microvolt")}
        if "synthetic" in words:  # of a finished dataset as its manifest has it, so that the index stays what it was
            words["synthetic"] = context.about.get("synthetic", words["synthetic"])
        return words | {"lead_names": list(context.lead_names), "sampling_rate_hz": context.sampling_rate_hz}

    @property
    def encoder(self):
        """A digest of the attributes."""
        return {"words": words_digest(self._words)}

    def index_files(self, plan):
        arrays = {_ARRAY: self._array(plan)}
        for name in self.context.label_names:
            arrays[name] = _column(plan.count, plan.shard_size, "float64", "NaN")
        if KEEP in self.context.about:
            arrays[_KEPT] = _column(plan.count, plan.count, "bool", False)
            yield f"{_KEPT}/c.0", (_mask(*both) for both in zip(plan, plan.numbers(), strict=False))
        within = {"kind": "inline", "must_understand": False, "metadata": arrays}
        group = {"zarr_format": 3, "node_type": "group", "attributes": {**self._words, "start": plan.start}}
        for name, array in arrays.items():
            yield f"{name}/{_META}", [_json(array)]
        yield _META, [_json({**group, "consolidated_metadata": within})]

    def _array(self, plan) -> dict:
        """The description of ``signal_uv``."""
        shards = {
            "chunk_shape": [1, *self.context.shape],
            "codecs": [_LITTLE],
            "index_codecs": [_LITTLE, {"name": "crc32c"}],
            "index_location": "end",
        }
        about = ("unit", "lead_names", "sampling_rate_hz")
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [plan.count, *self.context.shape],
            "data_type": "int16",
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [plan.shard_size, *self.context.shape]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": 0,
            "codecs": [{"name": "sharding_indexed", "configuration": shards}],
            "attributes": {name: self._words[name] for name in about},
            "dimension_names": ["sample", "lead", "time"],
            "storage_transformers": [],
        }

    def encode(self, samples, first=0):
        return [np.ascontiguousarray(samples, "<i2")]

    def join(self, shard, parts):
        yield from super().join(shard, parts)
        yield _places(_offsets(shard), self._shard_size, self._size)

    def decode(self, files, shard):
        file = self._checked(next(iter(files)), shard)
        for _ in range(shard.count):
            yield self._sample(file)
        if file.read() != _places(_offsets(shard), self._shard_size, self._size):
            raise ValueError("says that its chunks lie elsewhere")

    def decode_one(self, files, shard, position):
        file = self._checked(next(iter(files)), shard)
        file.seek(position * self._size)
        return self._sample(file)

    def _checked(self, file, shard):
        """The shard's file at its begin. Raises ValueError if it has another size than was written."""
        size = file.seek(0, os.SEEK_END)
        written = shard.count * self._size + 16 * self._shard_size + 4
        if size != written:
            raise ValueError(f"has {size} bytes, {written} were written")
        file.seek(0)
        return file

    def _sample(self, file) -> np.ndarray:
        return np.frombuffer(read_exactly(file, self._size, "shard"), "<i2").reshape(self.context.shape)


def _column(count: int, chunk: int, data_type: str, fill) -> dict:
    """The description of an array [count] in chunks as they are."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [count],
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill,
        "codecs": [_LITTLE],
        "attributes": {},
        "dimension_names": ["sample"],
        "storage_transformers": [],
    }


def _offsets(shard) -> Sequence[int]:
    """The places of a shard's samples in it."""
    return range(shard.count) if shard.kept is None else tuple(number - shard.first for number in shard.kept)


def _mask(shard, kept: Sequence[int]) -> bytes:
    """A byte for each sample of a shard of the plan: whether it is among ``kept``."""
    made = np.zeros(shard.count, np.uint8)
    made[[number - shard.first for number in kept]] = 1
    return made.tobytes()


def _json(about: dict) -> bytes:
    return (json.dumps(about, indent=1) + "\n").encode()


@lru_cache(maxsize=4)  # of full shards, and of the last
def _places(there: Sequence[int], of: int, size: int) -> bytes:
    """The index at a shard's end: begin and size of each of ``of`` chunks, those of places ``there`` being; CRC-32C."""
    places = np.full((of, 2), _ABSENT, "<u8")
    places[list(there), 0], places[list(there), 1] = np.arange(len(there), dtype="<u8") * np.uint64(size), size
    data = places.tobytes()
    return data + _crc32c(data).to_bytes(4, "little")


def _crc32c(data: bytes) -> int:
    """Castagnoli's CRC (RFC 3720, appendix B.4)."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF

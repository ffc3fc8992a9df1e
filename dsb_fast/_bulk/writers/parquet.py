"""``parquet``: a table a shard, read as it is by pandas, pyarrow and Hugging Face's datasets.

Columns ``index`` (int64, the sample's number) and ``signal_uv`` (lists [leads][time] of int16) or ``image`` (``bytes``,
a PNG file, and ``path``, its name: the Image feature of datasets).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np

from ... import _images
from ..._errors import InputError
from .base import IMAGE, SIGNAL, Format
from .parquet_sizes import check_sizes
from .png import PNG_OPTIONS, pictures_of
from .provenance import provenance, words_digest

_ROWS = 64  # of a row group: 5 MB of ECGs as they are made, half of that in the file
_LARGEST_GROUP = 1 << 25  # bytes of samples
_DELTA = "DELTA_BINARY_PACKED"
_FEATURES = {"index": {"dtype": "int64", "_type": "Value"}, "image": {"_type": "Image"}}
_LIMITS = 1000  # entries of lists in a description, beside row groups; ours have a dozen


class ParquetFormat(Format):
    """A file a shard, its rows in groups of 64 (fewer if samples are large), made one after the other.

    ``compress_level`` and ``synthetic_mark`` as format png has them, of images only.
    """

    name, suffixes, file_per_sample = "parquet", (".parquet",), False
    sparse = holds_labels = True
    largest_number = 2**63 - 1
    options = PNG_OPTIONS
    requires = ("pyarrow",)

    def __init__(self, context):
        super().__init__(context)
        if context.kind == SIGNAL and context.dtype != "int16":
            raise InputError(f"format parquet: samples are {context.dtype}, ECGs are int16")
        self._png = pictures_of(context, self.name)
        size = math.prod(context.shape) * np.dtype(context.dtype).itemsize
        self._rows = max(1, min(_ROWS, _LARGEST_GROUP // max(size, 1)))

    @cached_property
    def _words(self) -> dict[str, str]:
        """The schema's metadata."""
        context = self.context
        words = {**provenance(context), "unit": context.about.get("unit", "microvolt")}
        if context.kind == SIGNAL:
            words |= {"lead_names": list(context.lead_names), "sampling_rate_hz": context.sampling_rate_hz}
        else:
            labels = {name: {"dtype": "float64", "_type": "Value"} for name in context.label_names}
            words["huggingface"] = {"info": {"features": {**_FEATURES, **labels}}}
        return {key: word if isinstance(word, str) else json.dumps(word) for key, word in words.items()}

    @property
    def encoder(self):
        """Version of pyarrow, for images what format png has, and a digest of what the file says of them."""
        import pyarrow

        png = self._png.encoder if self._png else {}
        return {**png, "pyarrow": pyarrow.__version__, "words": words_digest(self._words)}

    @cached_property
    def _column_type(self):
        """The column of samples. Lists have no empty places, which makes them a fifth faster to read."""
        import pyarrow as pa

        if self.context.kind == IMAGE:
            return pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # as datasets has it, and only so
        lead = pa.list_(pa.field("element", pa.int16(), nullable=False))
        return pa.list_(pa.field("element", lead, nullable=False))

    @cached_property
    def _schema(self):
        import pyarrow as pa

        column = pa.field(self.context.array_name, self._column_type, nullable=self.context.kind == IMAGE)
        labels = [pa.field(name, pa.float64(), nullable=False) for name in self.context.label_names]
        return pa.schema([pa.field("index", pa.int64(), nullable=False), column, *labels], metadata=self._words)

    @cached_property
    def _encodings(self) -> dict[str, str]:
        """How each leaf of the schema is encoded. Differences of neighbours are small, dictionaries would not be."""
        labels = dict.fromkeys(self.context.label_names, "PLAIN")
        if self.context.kind == IMAGE:
            return {"index": "PLAIN", "image.bytes": "PLAIN", "image.path": "PLAIN", **labels}
        return {"index": "PLAIN", f"{self.context.array_name}.list.element.list.element": _DELTA, **labels}

    def encode(self, samples, first=0):
        return self._png.encode(samples, first) if self._png else list(samples)

    def join(self, shard, parts):
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink, done = _Sink(), 0
        with pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"), self._schema, compression="NONE", use_dictionary=False,
            write_statistics=["index"], column_encoding=self._encodings,
        ) as writer:  # fmt: skip
            for rows in _groups(parts, self._rows):
                some = slice(done, done + len(rows))
                index = np.array(shard.numbers[some], np.int64)
                labels = [pa.array(shard.labels[name][some]) for name in self.context.label_names]
                columns = [pa.array(index), self._column(rows, index.tolist()), *labels]
                writer.write_table(pa.Table.from_arrays(columns, schema=self._schema), row_group_size=self._rows)
                done += len(rows)
                yield from sink.take()
        yield from sink.take()

    def _column(self, rows: list, numbers: list[int]):
        """Samples of one row group, of these ``numbers``, as an Arrow array."""
        import pyarrow as pa

        if self._png:
            paths = [f"{number}.png" for number in numbers]
            return pa.StructArray.from_arrays([pa.array(rows, pa.binary()), pa.array(paths)], ["bytes", "path"])
        leads, time = self.context.shape
        values = pa.array(np.stack(rows).reshape(-1))
        offsets = [pa.array(np.arange(0, n + 1, step, dtype=np.int32))
                   for n, step in ((len(rows) * leads, leads), (len(values), time))]  # fmt: skip
        inner = pa.ListArray.from_arrays(offsets[1], values, type=self._column_type.value_type)
        return pa.ListArray.from_arrays(offsets[0], inner, type=self._column_type)

    def decode(self, files, shard):
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = next(iter(files))
        groups = [shard.numbers[begin : begin + self._rows] for begin in range(0, shard.count, self._rows)]
        counts = list(map(len, groups))
        check_sizes(file, counts, {path: (how, self._values(how)) for path, how in self._encodings.items()})
        limits = {
            "thrift_string_size_limit": file.seek(0, os.SEEK_END),
            "thrift_container_size_limit": len(groups) + _LIMITS,
        }
        try:
            table = pq.ParquetFile(file, pre_buffer=False, **limits)
            if not table.schema_arrow.equals(self._schema):
                columns = ", ".join(f"{field.name} {field.type}" for field in table.schema_arrow)
                raise ValueError(f"has columns {columns[:150]!r}")
            for k, numbers in enumerate(groups):
                yield from self._samples(table.read_row_group(k, use_threads=False), list(numbers))
        except (pa.ArrowException, OSError) as error:
            raise ValueError((str(error).splitlines() or [type(error).__name__])[0][:200]) from None

    def decode_labels(self, files, shard):
        import pyarrow.parquet as pq

        names = list(self.context.label_names)
        table = pq.ParquetFile(next(iter(files)), pre_buffer=False).read(names, use_threads=False)
        return {name: table.column(name).to_numpy() for name in names}

    def _values(self, encoding: str) -> int:
        """How many a row has in a column of this encoding."""
        return math.prod(self.context.shape) if encoding == _DELTA else 1

    def _samples(self, table, numbers: list[int]) -> Iterator[np.ndarray]:
        """The rows of one group. Raises ValueError."""
        index, column = (table.column(k).combine_chunks() for k in (0, 1))
        if index.null_count or index.to_pylist() != numbers:
            raise ValueError(f"has other numbers than {numbers[0]} to {numbers[-1]}")
        if not self._png:
            leads, time = self.context.shape
            inner = column.flatten()
            for lists, length in ((column, leads), (inner, time)):
                if (np.diff(lists.offsets.to_numpy()) != length).any():
                    raise ValueError(f"holds lists that have not {length} entries")
            yield from inner.flatten().to_numpy().reshape(len(numbers), leads, time)
            return
        data, paths = column.field("bytes"), column.field("path").to_pylist()
        if column.null_count or data.null_count or paths != [f"{k}.png" for k in numbers]:
            raise ValueError(f"has no images or other names from {numbers[0]}.png on")
        for one in data:
            yield _images.decode(one.as_buffer().to_pybytes(), "png", self.context.shape)


class _Sink:
    """A file that hands on what is written to it."""

    closed = False

    def __init__(self):
        self._held: list[bytes] = []

    def write(self, data) -> int:
        self._held.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        """What was written since it was last asked for."""
        taken, self._held = self._held, []
        return taken

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The last bytes are still to be taken."""


def _groups(parts: Iterable[list], rows: int) -> Iterator[list]:
    """The entries of all ``parts``, ``rows`` at a time; the last may have fewer."""
    held: list = []
    for part in parts:
        for begin in range(0, len(part), rows):
            held += part[begin : begin + rows]
            if len(held) >= rows:
                yield held[:rows]
                held = held[rows:]
    if held:
        yield held

"""``webdataset``: a tar a shard, an array or an image a sample beside what it is, for streaming into training.

The headers are written here: with tarfile, which package webdataset uses too, a run of the published ECG network makes
a tenth fewer samples a second (docs/formats.md).
"""

from __future__ import annotations

import io
import json
import math
from functools import cached_property

import numpy as np

from .base import SIGNAL, Format
from .npy import npy_header
from .png import PNG_OPTIONS, pictures_of
from .provenance import provenance, words_digest
from .reading import largest_png, read_exactly

_BLOCK = 512
_RECORD = 20 * _BLOCK  # a tar file is a multiple of it long
# Fields of a header that are always the same: mode 0644, user and group 0, time 0; type, owner's names and no link.
_MODE_AND_OWNER, _TIME = b"0000644\0" + b"0000000\0" * 2, b"00000000000\0"
_REST = b"0" + bytes(100) + b"ustar\x0000" + b"dsb-fast".ljust(32, b"\0") * 2 + bytes(183)
_REST_SUM = sum(_REST) + 8 * ord(" ")  # the checksum counts itself as blanks
_HERE = "\ue000"  # stands where the number goes while the rest of the json is made


class WebdatasetFormat(Format):
    """``<id>.json`` and ``<id>.npy`` (ECG, NumPy's format 1.0) or ``<id>.png`` in a USTAR file.

    ``compress_level`` and ``synthetic_mark`` as format png has them, of images only.
    """

    name, suffixes, file_per_sample = "webdataset", (".tar",), False
    sparse = holds_labels = True
    options = PNG_OPTIONS

    def __init__(self, context):
        super().__init__(context)
        self._png = pictures_of(context, self.name)
        self._array = npy_header(context.dtype, context.shape)
        self._array_size = len(self._array) + math.prod(context.shape) * np.dtype(context.dtype).itemsize

    @cached_property
    def _words(self) -> dict:
        context = self.context
        words = {**provenance(context), "unit": context.about.get("unit", "microvolt")}
        if context.kind == SIGNAL:
            words |= {"lead_names": context.lead_names, "sampling_rate_hz": context.sampling_rate_hz}
        return words

    @property
    def encoder(self):
        """That of format png for images, and a digest of what all samples say."""
        return {**(self._png.encoder if self._png else {}), "words": words_digest(self._words)}

    @cached_property
    def _about_parts(self) -> tuple[bytes, bytes]:
        here = f'"index": {json.dumps(_HERE)}'
        before, _, after = json.dumps({**self._words, "index": _HERE}, sort_keys=True).partition(here)
        return f'{before}"index": '.encode(), after.encode()

    def _about(self, index: int, labels: dict[str, float | None] | None = None) -> bytes:
        """``<id>.json``; all but the number, and ``labels`` where there are some, is made once for all samples."""
        before, after = self._about_parts
        said = f', "labels": {json.dumps(labels)}'.encode() if labels else b""
        return before + b"%d" % index + said + after

    def encode(self, samples, first=0):
        return self.encode_kept(samples, range(first, first + len(samples)), {})

    def encode_kept(self, samples, numbers, labels):
        if self._png:
            suffix, begin, files = "png", b"", self._png.encode_kept(samples, numbers, {})
        else:
            little = np.ascontiguousarray(samples, np.dtype(self.context.dtype).newbyteorder("<"))
            suffix, begin, files = "npy", self._array, (memoryview(sample).cast("B") for sample in little)
        pieces, padding = [], b""
        for k, (index, data) in enumerate(zip(numbers, files, strict=True)):
            said = {name: None if np.isnan(values[k]) else float(values[k]) for name, values in labels.items()}
            about, size = self._about(index, said), len(begin) + len(data)
            head = padding + _header(f"{index}.json", len(about)) + about + bytes(-len(about) % _BLOCK)
            pieces += (head + _header(f"{index}.{suffix}", size) + begin, data)
            padding = bytes(-size % _BLOCK)
        return [*pieces, padding]

    def join(self, shard, parts):
        size = 0
        for data in super().join(shard, parts):
            size += len(data)
            yield data
        yield bytes(_end(size))

    def decode(self, files, shard):
        file, size = next(iter(files)), 0
        for index in shard.numbers:
            about = self._about(index)
            stored = _read_member(file, f"{index}.json", 65536 + len(about))
            _check_about(stored, index)
            data, sample = self._sample(file, index)
            size += 2 * _BLOCK + _padded(len(stored)) + _padded(len(data))
            yield sample
        if file.read(_end(size) + 1) != bytes(_end(size)):
            raise ValueError("does not end where it should")

    def decode_labels(self, files, shard):
        file, rows = next(iter(files)), []
        for index in shard.numbers:
            about = json.loads(_read_member(file, f"{index}.json", 65536 + len(self._about(index))))
            self._sample(file, index)
            rows.append(about["labels"])
        names = self.context.label_names
        return {name: np.array([row[name] for row in rows], np.float64) for name in names}  # None is NaN

    def _sample(self, file, index: int) -> tuple[bytes, np.ndarray]:
        """The bytes of a sample's file and what they hold."""
        if self._png:
            data = _read_member(file, f"{index}.png", largest_png(self.context.shape))
            return data, next(self._png.decode([io.BytesIO(data)], None))
        data = _read_member(file, f"{index}.npy", self._array_size)
        if len(data) != self._array_size or not data.startswith(self._array):
            raise ValueError(f"{index}.npy is no array of {self.context.dtype} {list(self.context.shape)}")
        dtype = np.dtype(self.context.dtype).newbyteorder("<")
        return data, np.frombuffer(data, dtype, offset=len(self._array)).reshape(self.context.shape)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _end(size: int) -> int:
    """Zeros after ``size`` bytes of members: two blocks, and up to a whole record."""
    return 2 * _BLOCK + -(size + 2 * _BLOCK) % _RECORD


def _header(name: str, size: int) -> bytes:
    """What stands before a file of a tar (POSIX.1-1988, ustar), the same whoever writes it and when."""
    begin = name.encode().ljust(100, b"\0") + _MODE_AND_OWNER + b"%011o\0" % size + _TIME
    return begin + b"%06o\0 " % (sum(begin) + _REST_SUM) + _REST


def _read_member(file, name: str, limit: int) -> bytes:
    """The data of the next file of a tar, which must be ``name``. Raises ValueError."""
    from tarfile import REGTYPE, HeaderError, TarInfo

    try:
        info = TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict")
    except HeaderError as error:
        raise ValueError(f"{name}: {error}") from None
    if (info.name, info.type) != (name, REGTYPE):
        raise ValueError(f"holds {info.name[:40]!r} where {name} should be")
    if not 0 <= info.size <= limit:
        raise ValueError(f"{name} has {info.size} bytes, at most {limit} were written")
    data = read_exactly(file, info.size, name)
    if any(read_exactly(file, _padded(info.size) - info.size, name)):
        raise ValueError(f"{name}: goes on after its end")
    return data


def _check_about(data: bytes, index: int) -> None:
    """Other words than today's are fine, another sample's are not."""
    try:
        about = json.loads(data)
    except RecursionError:
        about = None
    if not isinstance(about, dict) or about.get("index") != index:
        raise ValueError(f"{index}.json is not about sample {index}")

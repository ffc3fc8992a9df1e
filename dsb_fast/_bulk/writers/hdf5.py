"""``hdf5``: a file a shard, ``signal_uv`` int16 [n, leads, time] and ``index`` int64 [n]; attributes say the rest."""

from __future__ import annotations

import io
import json
import math
import os
from functools import cached_property

import numpy as np

from ..._errors import InputError
from .base import SIGNAL, Format
from .provenance import provenance, words_digest

_VERSIONS = ("earliest", "v110")  # of the file format: the oldest that can hold it, which every reader knows


class Hdf5Format(Format):
    """The arrays lie in the file in one piece: what is around them is made by h5py, they are streamed."""

    name, suffixes, file_per_sample = "hdf5", (".hdf5",), False
    sparse = holds_labels = True
    largest_number = 2**63 - 1
    kinds = (SIGNAL,)
    requires = ("h5py",)

    def __init__(self, context):
        super().__init__(context)
        if context.dtype != "int16":
            raise InputError(f"format hdf5: samples are {context.dtype}, ECGs are int16")

    @cached_property
    def _words(self) -> dict:
        """The attributes of the file."""
        context = self.context
        words = {**provenance(context), "unit": context.about.get("unit", "microvolt")}
        words |= {"lead_names": list(context.lead_names), "sampling_rate_hz": context.sampling_rate_hz}
        if "options" in words:
            words["options"] = json.dumps(words["options"])
        return {name: word for name, word in words.items() if word is not None}

    @property
    def encoder(self):
        """Versions of h5py and of the HDF5 library, and a digest of the attributes."""
        import h5py

        return {"h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version, "words": words_digest(self._words)}

    def encode(self, samples, first=0):
        return [np.ascontiguousarray(samples, "<i2")]

    def join(self, shard, parts):
        before, after = self._around(shard)
        yield before
        yield from super().join(shard, parts)
        yield after

    def _around(self, shard) -> tuple[bytes, bytes]:
        """What stands in the file before the samples and after them."""
        import h5py

        file, shape = _Unwritten(), (shard.count, *self.context.shape)
        with h5py.File(file, "w", libver=_VERSIONS) as made:
            for name, word in self._words.items():
                made.attrs[name] = np.uint64(word) if name == "seed" else word
            made.create_dataset("index", data=np.array(shard.numbers, "<i8"))
            for name in self.context.label_names:
                made.create_dataset(name, data=np.asarray(shard.labels[name], "<f8"))
            how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)  # times are left out, as h5py does
            how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # so that its place is known before it has values
            how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            how.set_obj_track_times(False)
            space = h5py.h5s.create_simple(shape)
            begin = h5py.h5d.create(made.id, b"signal_uv", h5py.h5t.STD_I16LE, space, how).get_offset()
        if not shard.count:  # an array of nothing has no place
            return file.part(0, file.size), b""
        return file.part(0, begin), file.part(begin + 2 * math.prod(shape), file.size)

    def decode(self, files, shard):
        import h5py

        file = next(iter(files))
        size = file.seek(0, os.SEEK_END)
        try:
            with h5py.File(file, "r") as opened:
                index = _dataset(opened, "index", (shard.count,), "<i8", size)
                samples = _dataset(opened, "signal_uv", (shard.count, *self.context.shape), "<i2", size)
                for name in self.context.label_names:
                    _dataset(opened, name, (shard.count,), "<f8", size)
                if not np.array_equal(index[:], np.array(shard.numbers, "<i8")):
                    raise ValueError(f"has other numbers than the {shard.count} from {shard.first} on that it should")
                for k in range(shard.count):
                    yield samples[k]
        except (OSError, RuntimeError, KeyError, TypeError, OverflowError) as error:
            raise ValueError((str(error).splitlines() or [type(error).__name__])[0][:200]) from None

    def decode_labels(self, files, shard):
        import h5py

        file = next(iter(files))
        size = file.seek(0, os.SEEK_END)
        with h5py.File(file, "r") as opened:
            names = self.context.label_names
            return {name: _dataset(opened, name, (shard.count,), "<f8", size)[:] for name in names}


def _dataset(opened, name: str, shape: tuple[int, ...], dtype: str, size: int):
    """Dataset ``name`` of a file of ``size`` bytes. Raises ValueError unless it lies there in one piece, as written."""
    import h5py

    found = opened[name] if isinstance(opened.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"has no dataset {name}")
    if (found.shape, found.dtype.str) != (shape, dtype):
        raise ValueError(f"{name} holds {found.dtype} {list(found.shape or ())}")
    how, begin = found.id.get_create_plist(), found.id.get_offset()
    if not found.size:
        return found
    if how.get_layout() != h5py.h5d.CONTIGUOUS or how.get_external_count() or begin is None:
        raise ValueError(f"{name} is stored in another way")
    if begin + found.id.get_storage_size() > size or found.id.get_storage_size() != found.nbytes:
        raise ValueError("ends too early")
    return found


class _Unwritten(io.RawIOBase):
    """A file that keeps what is written to it and takes no memory for the rest."""

    def __init__(self):
        self.size = self._at = 0
        self._written: list[tuple[int, bytes]] = []

    def part(self, begin: int, end: int) -> bytes:
        """Bytes ``begin`` to ``end``; what was never written is zero."""
        data = bytearray(end - begin)
        for at, written in self._written:
            low, high = max(at, begin), min(at + len(written), end)
            if low < high:
                data[low - begin : high - begin] = written[low - at : high - at]
        return bytes(data)

    def write(self, data) -> int:
        self._written.append((self._at, bytes(data)))
        self._at += len(data)
        self.size = max(self.size, self._at)
        return len(data)

    def readinto(self, buffer) -> int:
        end = min(self._at + len(buffer), self.size)
        data = self.part(self._at, max(end, self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def truncate(self, size: int | None = None) -> int:
        self.size = self._at if size is None else size
        return self.size

    def readable(self) -> bool:
        return True

    writable = seekable = readable

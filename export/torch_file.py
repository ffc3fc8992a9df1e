"""PyTorch checkpoint files, zip and legacy, read without torch and without executing anything in them.

Only what tensors need is understood: containers, numbers, text, storages and the functions that make tensors of them.
Every size is checked against the file before memory is taken; zip CRCs are verified.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsb_fast._errors import CheckpointError
from dsb_fast._files import read_regular

from . import pickle_data

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_STORAGE_TYPES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bfloat16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip


@dataclass
class Storage:
    """A flat run of numbers somewhere in the file."""

    key: str
    dtype: str
    count: int
    read: Callable[[], bytes] | None = None
    byte_order: str = "<"

    @property
    def item_size(self) -> int:
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize

    def words(self) -> np.ndarray:
        """The file's numbers as they are; those of bfloat16 as its bits."""
        dtype = np.dtype("u2" if self.dtype == "bfloat16" else self.dtype)
        return np.frombuffer(self.read(), dtype.newbyteorder(self.byte_order))

    def values(self, words: np.ndarray) -> np.ndarray:
        """The values of some of the numbers."""
        return (words.astype(np.uint32) << 16).view(np.float32) if self.dtype == "bfloat16" else words


@dataclass
class Tensor:
    """A strided view of a storage; the numbers are read only when asked for."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def is_floating(self) -> bool:
        return self.storage.dtype in ("f8", "f4", "f2", "bfloat16")

    def numpy(self) -> np.ndarray:
        """The values, in the file's type (bfloat16 as float32)."""
        words = self.storage.words()[self.offset :]
        if math.prod(self.shape) == 0:
            return self.storage.values(np.zeros(self.shape, words.dtype))
        steps = tuple(s * words.itemsize for s in self.strides)
        words = np.lib.stride_tricks.as_strided(words, self.shape, steps, writeable=False)
        return self.storage.values(np.ascontiguousarray(words)).reshape(self.shape)  # a scalar came out as [1]


def _sizes(name: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(v) is int and v >= 0 for v in values):
        raise CheckpointError(f"it has a tensor whose {name} is not a list of sizes")
    if len(values) > 64:
        raise CheckpointError(f"it has a tensor with {len(values)} dimensions")
    return values


def _rebuild_tensor(storage, offset, shape, strides, *_) -> Tensor:
    if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
        raise CheckpointError("it has a tensor without a storage")
    shape, strides = _sizes("shape", shape), _sizes("stride", strides)
    if len(shape) != len(strides):
        raise CheckpointError("it has a tensor whose shape and strides differ in length")
    elements = math.prod(shape)
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if elements else offset
    if elements > storage.count or (elements and last >= storage.count):
        raise CheckpointError(f"it has a tensor of shape {list(shape)} in a storage of {storage.count} values")
    return Tensor(storage, offset, shape, strides)


def _ordered_dict(items=()) -> dict:
    if not isinstance(items, (list, tuple)):
        raise CheckpointError("it has an OrderedDict made of something other than pairs")
    return dict(items)


def _storage_type(dtype: str) -> Callable[..., Any]:
    def never(*_):
        raise CheckpointError("it makes a storage outside the file's list of storages")

    never.dtype = dtype
    return never


class Attributes:
    """What an object of the file held by name, of a class that is not made here."""

    def __init__(self):
        self.values: dict = {}

    def build_state(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise CheckpointError("its pickle sets the state of something to no dictionary")
        self.values = state


TENSOR_SYMBOLS: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": Attributes,
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch.Size": lambda sizes=(): tuple(sizes),
    **{f"torch.{name}": _storage_type(dtype) for name, dtype in _STORAGE_TYPES.items()},
}


def _storage_of(persistent_id: Any, storages: dict[str, Storage]) -> Storage:
    """The storage that a persistent id ('storage', type, key, device, count[, view]) names."""
    if not isinstance(persistent_id, tuple) or len(persistent_id) not in (5, 6) or persistent_id[0] != "storage":
        raise CheckpointError("it refers to something that is not a storage")
    _, kind, key, _, count, *view = persistent_id
    dtype = getattr(getattr(kind, "make", None), "dtype", None)
    if dtype is None or not isinstance(key, str) or type(count) is not int or count < 0:
        raise CheckpointError("it has a storage of an unknown type")
    if view and view[0] is not None:
        raise CheckpointError("it has a view of a storage, as files from before PyTorch 0.4 do; save it again")
    storage = storages.setdefault(key, Storage(key, dtype, count))
    if (storage.dtype, storage.count) != (dtype, count):
        raise CheckpointError(f"it describes storage {key!r} in two ways")
    return storage


def _read_zip(data: bytes) -> Any:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = _checked_members(archive, len(data))
        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError("it is a zip file, but not one that torch.save wrote (no data.pkl)")
        prefix = pickles[0][: -len("data.pkl")]
        if any(name.startswith(prefix + "code/") for name in members):
            raise CheckpointError("it is a TorchScript program, not a checkpoint; save the state dict instead")
        contents = {}
        for name in members:
            contents[name] = archive.read(name)  # verifies the CRC
    except CheckpointError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        ValueError,
        EOFError,
        OverflowError,
        struct.error,
        OSError,
        KeyError,
    ) as error:
        raise CheckpointError(f"its zip archive is damaged ({str(error)[:120]})") from None

    order = contents.get(prefix + "byteorder", b"little").strip()
    if order not in (b"little", b"big"):
        raise CheckpointError("its byte order is neither little nor big")
    storages: dict[str, Storage] = {}

    def persistent(persistent_id):
        storage = _storage_of(persistent_id, storages)
        raw = contents.get(f"{prefix}data/{storage.key}")
        if raw is None:
            raise CheckpointError(f"its storage {storage.key!r} is missing")
        if len(raw) != storage.count * storage.item_size:
            raise CheckpointError(
                f"its storage {storage.key!r} has {len(raw)} bytes, {storage.count * storage.item_size} were declared"
            )
        storage.read = lambda: raw
        storage.byte_order = ">" if order == b"big" else "<"
        return storage

    return pickle_data.load(io.BytesIO(contents[pickles[0]]), TENSOR_SYMBOLS, persistent)


def _checked_members(archive: zipfile.ZipFile, file_size: int) -> list[str]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    for info in infos:
        parts = info.filename.replace("\\", "/").split("/")
        if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise CheckpointError(f"it names a member outside itself, {info.filename[:80]!r}; nothing was written")
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"its member {info.filename[:80]!r} is compressed, which torch.save never does")
    if len(set(names)) != len(names):
        raise CheckpointError("it has two members of the same name")
    if sum(info.file_size for info in infos) > file_size:
        raise CheckpointError("its members claim to be larger than the file")
    return [name for name in names if not name.endswith("/")]


def _read_legacy(data: bytes) -> Any:
    stream = io.BytesIO(data)
    if pickle_data.load(stream, {}) != LEGACY_MAGIC:
        raise CheckpointError("it is a plain pickle, not a PyTorch checkpoint; nothing was executed")
    if pickle_data.load(stream, {}) != _LEGACY_PROTOCOL:
        raise CheckpointError("it was written by another protocol than PyTorch's 1001")
    system = pickle_data.load(stream, {})
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    order = "<" if little is True else ">"
    storages: dict[str, Storage] = {}
    tree = pickle_data.load(stream, TENSOR_SYMBOLS, lambda pid: _storage_of(pid, storages))
    keys = pickle_data.load(stream, {})
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("its list of storages is damaged")
    if len(set(keys)) != len(keys) or set(keys) != set(storages):
        raise CheckpointError("its list of storages is not that of its tensors")
    at = stream.tell()
    view = memoryview(data)
    for key in keys:
        storage = storages[key]
        size = storage.count * storage.item_size
        if at + 8 + size > len(data):
            raise CheckpointError(
                f"it is cut off: storage {key!r} needs {size} bytes, {max(len(data) - at - 8, 0)} are left"
            )
        (count,) = struct.unpack_from(order + "q", data, at)
        if count != storage.count:
            raise CheckpointError(f"its storage {key!r} holds {count} values, {storage.count} were declared")
        raw = view[at + 8 : at + 8 + size]
        storage.read, storage.byte_order = (lambda raw=raw: raw), order
        at += 8 + size
    if at != len(data):
        raise CheckpointError(f"it has {len(data) - at} bytes after its last storage")
    return tree


def parse(data: bytes) -> Any:
    """The object tree of a checkpoint held in memory; tensors are :class:`Tensor`."""
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _read_zip(data)
    if data[:1] == b"\x80":
        return _read_legacy(data)
    if not data:
        raise CheckpointError("it is empty")
    raise CheckpointError("it is no PyTorch checkpoint (neither zip nor pickle)")


def load(path: str | os.PathLike) -> tuple[Any, str]:
    """The object tree of the checkpoint ``path`` and the file's SHA-256.

    Raises CheckpointError, one line that begins with the path, for anything but a whole and harmless checkpoint.
    """
    data = read_regular(path)
    try:
        return parse(data), hashlib.sha256(data).hexdigest()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (MemoryError, RecursionError):
        raise CheckpointError(f"{path}: it is nested too deeply to be a checkpoint") from None

"""The network pickles of NVIDIA's PyTorch repositories, read as records.

Such a file pickles a dict of modules. Each module is a call of ``torch_utils.persistence._reconstruct_persistent_obj``
with the program text of its class and the module's attributes; the real function executes the text. Here the text is
dropped and the attributes are kept. Every storage is a torch file inside the pickle, which
:mod:`dsb_fast.export.torch_file` reads like one on the disk.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dsb_fast._errors import CheckpointError
from dsb_fast._files import read_regular

from . import pickle_data, torch_file

Network = TypeVar("Network")
_VERSION = 6  # of the persistence code, in every file the repositories have written
_NUMBERS = {"f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"}
_PLAIN = (str, int, float, bytes, bool, type(None))
TENSORFLOW = (
    "it is a TensorFlow network of StyleGAN, not one of PyTorch; convert it with legacy.py of NVIDIA's "
    "stylegan2-ada-pytorch or stylegan3 repository"
)


@dataclass(frozen=True, eq=False)
class Module:
    """A module of the file: the name of its class and its attributes; the program text is not kept."""

    class_name: str
    state: dict[str, Any]

    def part(self, name: str) -> dict[str, Any]:
        """The dict that is the attribute ``name``, such as ``_parameters``; empty where there is none."""
        value = self.state.get(name)
        return value if isinstance(value, dict) else {}


class _Dtype:
    """numpy's type of one number."""

    def __init__(self, name, *_):
        if name not in _NUMBERS:
            raise CheckpointError("it has numpy values that are not numbers")
        self.name, self.order = name, "<"

    def build_state(self, state) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise CheckpointError("it has numpy values that are not numbers")
        self.order = ">" if state[1] == ">" else "<"


class _Array:
    """A numpy array, which no StyleGAN2 has among its attributes; its values are not looked at."""

    def __init__(self, *_):
        pass

    def build_state(self, _) -> None:
        pass


def _module(meta) -> Module:
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise CheckpointError("it has a module that is no class")
    if type(meta.get("version")) is not int or meta["version"] != _VERSION:
        raise CheckpointError(f"it has a module of another format than {_VERSION}, the one that is known")
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        raise CheckpointError("it has a module without a class name or without attributes")
    return Module(name, state)


def _scalar(dtype, raw=b""):
    if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
        raise CheckpointError("it has a numpy value without a type")
    numpy_type = np.dtype(dtype.name).newbyteorder(dtype.order)
    if len(raw) != numpy_type.itemsize:
        raise CheckpointError("it has a numpy value of the wrong length")
    return np.frombuffer(raw, numpy_type)[0].item()


def _set(items=()):
    if not isinstance(items, (list, tuple, set)) or not all(isinstance(item, _PLAIN) for item in items):
        raise CheckpointError("it has a set of something other than text and numbers")
    return set(items)


def _dict(items=()):
    if isinstance(items, dict):
        return dict(items)
    return torch_file.TENSOR_SYMBOLS["collections.OrderedDict"](items)


def _no_bytes(*arguments):
    if arguments:
        raise CheckpointError("its pickle makes bytes of something other than text")
    return b""


def _tensorflow(*_):
    raise CheckpointError(TENSORFLOW)


def _no_type(*_):
    raise CheckpointError("its pickle is malformed")


class _Once:
    """A function of one value, called once for each object however often the file asks."""

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function
        self.made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, value, *rest):
        if id(value) not in self.made:
            self.made[id(value)] = value, self.function(value, *rest)
        return self.made[id(value)][1]


def _encode(text, encoding=None):
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError("its pickle makes bytes of something other than text")
    return text.encode("latin-1")


def _storage(raw) -> torch_file.Storage:
    if not isinstance(raw, (bytes, bytearray)):
        raise CheckpointError("it has a storage that is not made of bytes")
    storage = torch_file.parse(bytes(raw))
    if not isinstance(storage, torch_file.Storage):
        raise CheckpointError("it has a storage whose bytes hold something else")
    return storage


def _symbols() -> dict[str, Callable[..., Any]]:
    symbols = {
        **torch_file.TENSOR_SYMBOLS,
        "torch_utils.persistence._reconstruct_persistent_obj": _module,
        "torch.storage._load_from_bytes": _Once(_storage),
        "_codecs.encode": _Once(_encode),
        "dnnlib.util.EasyDict": _dict,
        "dnnlib.tflib.network.Network": _tensorflow,
        "numpy.dtype": _Dtype,
        "numpy.ndarray": _no_type,
    }
    for builtins in ("builtins", "__builtin__"):  # the second is how protocol 2 spells it
        symbols |= {f"{builtins}.set": _set, f"{builtins}.bytes": _no_bytes}
    for core in ("numpy.core", "numpy._core"):  # of numpy 1 and 2
        symbols[f"{core}.multiarray.scalar"] = _scalar
        symbols[f"{core}.multiarray._reconstruct"] = symbols[f"{core}.numeric._frombuffer"] = _Array
    return symbols


def parse(data: bytes) -> Any:
    """The object tree of a network pickle held in memory; modules are :class:`Module`, tensors those of torch_file.

    A PyTorch checkpoint is read like any other. Raises CheckpointError for anything but a whole and harmless file.
    """
    try:
        return _parse(data)
    except (MemoryError, RecursionError):
        raise CheckpointError("it is nested too deeply to be a checkpoint") from None


def load(path: str | os.PathLike) -> tuple[Any, str]:
    """The object tree of the file ``path``, as :func:`parse` gives it, and the file's SHA-256.

    Raises CheckpointError, one line that begins with the path.
    """
    data = read_regular(path)
    try:
        return parse(data), hashlib.sha256(data).hexdigest()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def read(path: str | os.PathLike, describe: Callable[[Any], Network]) -> Network:
    """What ``describe`` makes of the object tree of the file ``path``; its CheckpointErrors begin with the path."""
    tree, _ = load(path)
    try:
        return describe(tree)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _parse(data: bytes) -> Any:
    if data[:1] != b"\x80":
        return torch_file.parse(data)
    stream = io.BytesIO(data)
    tree = pickle_data.load(stream, _symbols())
    if type(tree) is int and tree == torch_file.LEGACY_MAGIC:
        return torch_file.parse(data)
    if stream.tell() != len(data):
        raise CheckpointError(f"it has {len(data) - stream.tell()} bytes after its pickle")
    return tree

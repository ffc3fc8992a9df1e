"""The cache of built graphs and packed weights. An entry is used only if its bytes have the digest noted for them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ._files import sha256_of, write_atomically


def folder() -> str:
    """``DSB_CACHE_DIR``, or dsb_fast in the user's cache folder."""
    if chosen := os.environ.get("DSB_CACHE_DIR"):
        return chosen
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "dsb_fast")


def exported(name: str) -> str:
    """Path of the exported file of a registered model that the C library opens by name (docs/embedding.md)."""
    return os.path.join(folder(), "exported", f"{name}.onnx")


def _exporter_digest() -> bytes:
    """Digest of the exporter's source: another exporter never gets this one's graphs."""
    from . import export

    place = os.path.dirname(export.__file__)
    digest = hashlib.sha256()
    for name in sorted(os.listdir(place)):
        if name.endswith(".py"):
            with open(os.path.join(place, name), "rb") as file:
                digest.update(hashlib.sha256(file.read()).digest())
    return digest.digest()


def exporter_sha256() -> str:
    """The same for the key of an :func:`array` that the exporter derives."""
    return _exporter_digest().hex()


class Graph(NamedTuple):
    """An ONNX model ready to open, and the digest of what it computes (the model without its metadata properties).

    ``model`` is either the serialised model or the path of one whose weights lie in a file beside it: ONNX Runtime maps
    those instead of copying them, which halves start-up and lets processes share them.
    """

    model: bytes | str
    sha256: str


def _weights_name(path: str) -> str:
    return os.path.basename(path)[: -len(".onnx")] + ".weights"


def _read(path: str) -> Graph | None:
    """The entry ``path`` if both its files have the digests noted beside them."""
    try:
        with open(path + ".sha256", "rb") as file:
            model, weights, graph_sha256 = file.read(256).decode("ascii", "replace").split()
        whole = sha256_of(path) == model and sha256_of(_beside(path)) == weights
    except (OSError, ValueError):  # CheckpointError is one
        return None
    return Graph(path, graph_sha256) if whole else None


def _beside(path: str) -> str:
    return os.path.join(os.path.dirname(path), _weights_name(path))


def _store(path: str, built: Graph) -> Graph:
    """Write an entry: weights, model, note, each by a temporary name; a reader trusts it only with the note."""
    import onnx

    os.makedirs(folder(), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=folder()) as place:
        inside = os.path.join(place, os.path.basename(path))
        onnx.save_model(
            onnx.load_model_from_string(built.model),
            inside,
            save_as_external_data=True,
            location=_weights_name(path),
            size_threshold=1024,
        )
        with open(_beside(inside), "ab"):
            pass  # not there yet if no tensor of the model is that large
        note = f"{sha256_of(inside)} {sha256_of(_beside(inside))} {built.sha256}\n"
        os.replace(_beside(inside), _beside(path))
        os.replace(inside, path)
    write_atomically(path + ".sha256", note.encode())
    return Graph(path, built.sha256)


def graph(key: Sequence[str], build: Callable[[], Graph]) -> Graph:
    """The graph that ``key`` and the exporter's source name: from the cache if it is there and whole, else built.

    A cache that can't be written is no error; the graph is then built every time.
    """
    digest = hashlib.sha256(_exporter_digest())
    for part in key:
        digest.update(hashlib.sha256(part.encode()).digest())
    path = os.path.join(folder(), f"{key[0]}-{digest.hexdigest()[:32]}.onnx")
    if found := _read(path):
        return found
    built = build()
    try:
        return _store(path, built)
    except OSError:
        return built


def array(key: Sequence[str], build: Callable[[], tuple[np.ndarray, str]]) -> tuple[np.ndarray, str, str]:
    """A float32 array, a line of text that belongs to it and the digest of both, from the cache if there and whole.

    The array is mapped from its file, not copied, so that start-up is short and processes share it. ``build()`` gives
    array and text. A cache that can't be written is no error.
    """
    if found := cached_array(key):
        return found
    path = _array_path(key)
    built, text = build()
    whole = _array_digest(built, text)
    with contextlib.suppress(OSError):
        os.makedirs(folder(), exist_ok=True)
        write_atomically(path, memoryview(built).cast("B"))
        write_atomically(path + ".sha256", f"{whole} {text}\n".encode())
    return built, text, whole


def cached_array(key: Sequence[str]) -> tuple[np.ndarray, str, str] | None:
    """What :func:`array` gives for ``key`` if it is there and whole."""
    path = _array_path(key)
    try:
        with open(path + ".sha256", "rb") as file:
            noted, text = file.read(1 << 16).decode("utf-8", "replace").rstrip("\n").split(" ", 1)
        mapped = np.memmap(path, "<f4", "r")
        if _array_digest(mapped, text) == noted:
            return np.asarray(mapped), text, noted
    except (OSError, ValueError):
        pass
    return None


def _array_path(key: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for part in key:
        digest.update(hashlib.sha256(part.encode()).digest())
    return os.path.join(folder(), f"{key[0]}-{digest.hexdigest()[:32]}.f32")


def _array_digest(values: np.ndarray, text: str) -> str:
    digest = hashlib.sha256(text.encode() + b"\n")
    digest.update(values)
    return digest.hexdigest()

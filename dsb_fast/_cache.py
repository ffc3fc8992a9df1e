"""The cache of built graphs. An entry is used only if its bytes have the digest that was recorded for them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ._files import write_atomically


def folder() -> str:
    """``DSB_CACHE_DIR``, or dsb_fast in the user's cache folder."""
    if chosen := os.environ.get("DSB_CACHE_DIR"):
        return chosen
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "dsb_fast")


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


class Graph(NamedTuple):
    """A serialised ONNX model, and the digest of what it computes: the model without its metadata properties."""

    data: bytes
    sha256: str


def graph(key: Sequence[str], build: Callable[[], Graph]) -> Graph:
    """The graph that ``key`` and the exporter's source name: from the cache if it is there and whole, else built.

    A cache that can't be written is no error; the graph is then built every time.
    """
    digest = hashlib.sha256(_exporter_digest())
    for part in key:
        digest.update(hashlib.sha256(part.encode()).digest())
    path = os.path.join(folder(), f"{key[0]}-{digest.hexdigest()[:32]}.onnx")
    with contextlib.suppress(OSError):
        with open(path + ".sha256", "rb") as file:
            recorded = file.read(256).decode("ascii", "replace").split()
        with open(path, "rb") as file:
            data = file.read()
        if len(recorded) == 2 and recorded[0] == hashlib.sha256(data).hexdigest():
            return Graph(data, recorded[1])
    built = build()
    with contextlib.suppress(OSError):
        os.makedirs(folder(), exist_ok=True)
        write_atomically(path, built.data)
        write_atomically(path + ".sha256", f"{hashlib.sha256(built.data).hexdigest()} {built.sha256}\n".encode())
    return built

"""A checkpoint of the user's own on its way to the nodes of a cluster: its bytes, by digest."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from .. import _cache
from .._errors import CheckpointError
from .._files import read_regular, sha256_of, write_atomically


def packed(opened_with: dict, put) -> dict | None:
    """What :func:`unpacked` needs; None if the model is a registered name, whose weights every node finds by itself.

    ``put`` gives a reference to an array. Raises CheckpointError for a file that can't be read.
    """
    argument = "model" if opened_with["checkpoint"] is None else "checkpoint"
    path = opened_with[argument]
    if argument == "model" and not os.path.exists(path):
        return None
    files = []
    for file in _files_of(path):
        data = np.frombuffer(read_regular(file), np.uint8)
        files.append({"name": os.path.basename(file), "sha256": hashlib.sha256(data).hexdigest(), "data": put(data)})
    return {"argument": argument, "files": files}


def _files_of(path: str) -> list[str]:
    """The model file that ``path`` stands for, first, and those beside it that say what it is."""
    if path.lower().endswith(".onnx") and not os.path.isdir(path):
        return [path]
    from ..export import lucid

    model, config = lucid.find_checkpoint(path)
    return [file for file in (model, config, model + ".card.json") if file and os.path.isfile(file)]


def digest_of(weights: dict | None) -> str:
    """What tells one set of files from another."""
    files = weights["files"] if weights else []
    return hashlib.sha256("".join(f"{file['name']}\n{file['sha256']}\n" for file in files).encode()).hexdigest()


def unpacked(weights: dict, get) -> str:
    """Path of the model file, in the cache of this machine, fetched with ``get`` unless it is there and whole.

    Raises CheckpointError if what came is not what was sent, OSError.
    """
    folder = os.path.join(_cache.folder(), "sent", digest_of(weights)[:32])
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, file["name"]) for file in weights["files"]]
    for path, file in zip(paths, weights["files"], strict=True):
        if os.path.isfile(path) and sha256_of(path) == file["sha256"]:
            continue
        data = get(file["data"])
        if hashlib.sha256(data).hexdigest() != file["sha256"]:
            raise CheckpointError(f"{file['name']}: arrived with other bytes than were sent; run the command again")
        write_atomically(path, memoryview(data))
    return paths[0]

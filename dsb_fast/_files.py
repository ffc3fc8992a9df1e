"""Reading a file that a user named, and writing one so that its name never holds half of it."""

from __future__ import annotations

import contextlib
import os
import stat
import threading

from ._errors import CheckpointError


def read_regular(path: str | os.PathLike) -> bytes:
    """The bytes of a regular file. Raises CheckpointError for a folder, a pipe, or a file that can't be read."""
    path = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CheckpointError(f"{path}: not a regular file; give a checkpoint or an exported ONNX file")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}; give a checkpoint or an exported ONNX file") from None


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write ``data`` to ``path`` by way of a temporary name beside it. Raises OSError."""
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise

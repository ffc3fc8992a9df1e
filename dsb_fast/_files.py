"""Reading a file that a user named, and writing one so that its name never holds half of it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from typing import BinaryIO

from ._errors import CheckpointError


@contextlib.contextmanager
def open_regular(path: str | os.PathLike):
    """A regular file for reading. Raises CheckpointError for a folder, a pipe, or a file that can't be read."""
    path = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CheckpointError(f"{path}: not a regular file; give a checkpoint or an exported ONNX file")
        with open(path, "rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}; give a checkpoint or an exported ONNX file") from None


def read_regular(path: str | os.PathLike) -> bytes:
    """The bytes of a regular file. Raises CheckpointError."""
    with open_regular(path) as file:
        return file.read()


def sha256_of(path: str | os.PathLike) -> str:
    """SHA-256 of a regular file, through one small buffer. Raises CheckpointError."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(1 << 18))
    with open_regular(path) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()


def open_plain(path: str | os.PathLike) -> BinaryIO:
    """A regular file of a folder for reading. Raises OSError; what is there and is none counts as not there.

    A pipe would be waited for, a device might have no end.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link to itself, a socket
            raise
        raise FileNotFoundError(errno.ENOENT, "is no regular file", os.fspath(path)) from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FileNotFoundError(errno.ENOENT, "is no regular file", os.fspath(path))
        return open(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


@contextlib.contextmanager
def replacing(path: str | os.PathLike):
    """A temporary name beside ``path``; the file that was made there gets the name ``path`` if nothing was raised."""
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write ``data`` to ``path`` by way of a temporary name beside it. Raises OSError."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)

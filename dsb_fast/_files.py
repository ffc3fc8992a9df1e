"""Reading a file that a user named, and writing one so that its name never holds half of it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from typing import BinaryIO

from ._errors import CheckpointError, InputError


class NoFileError(IsADirectoryError):
    """A pipe or a device where a file should be, which is as little a file as a folder."""


def _regular(path: str, flags: int) -> int:
    try:
        number = os.open(path, flags | os.O_NONBLOCK)  # a pipe is refused, not waited for
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link to itself, a socket
            raise
        raise NoFileError(errno.EISDIR, "not a regular file", path) from None
    if stat.S_ISREG(os.fstat(number).st_mode) or stat.S_ISDIR(os.fstat(number).st_mode):  # open() refuses a folder
        return number
    os.close(number)
    raise NoFileError(errno.EISDIR, "not a regular file", path)


def open_file(path: str | os.PathLike) -> BinaryIO:
    """A file for reading, which a device that never ends or a pipe is not. Raises OSError."""
    return open(path, "rb", opener=_regular)


def open_plain(path: str | os.PathLike) -> BinaryIO:
    """A file of a dataset's folder for reading. Raises OSError; what is there and is no file counts as not there."""
    try:
        return open_file(path)
    except IsADirectoryError:
        raise FileNotFoundError(errno.ENOENT, "is no regular file", os.fspath(path)) from None


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


def check_output(path: str) -> None:
    """Raises InputError where no file can be: at a folder, or in one that is not there."""
    if os.path.isdir(path):
        raise InputError(f"{path}: a folder; name a file")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise InputError(f"{path}: its folder is not there; make it, or name a file in one that is")


@contextlib.contextmanager
def replacing(path: str | os.PathLike):
    """A temporary name beside ``path``; the file that was made there gets the name ``path`` if nothing was raised.

    An OSError names ``path``, not the temporary name.
    """
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            error.filename = path
        raise


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write ``data`` to ``path`` by way of a temporary name beside it. Raises OSError."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)

"""The system calls by which files come to be: one table, so that tests can record them and make each one fail."""

from __future__ import annotations

import contextlib
import ctypes
import os


def _syncfs():
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None


class System:
    """The real calls. Paths are strings; every method raises OSError."""

    def create(self, path: str) -> int:
        """A new file, open for writing; one that is there is another run's, and is not written into."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def append(self, path: str) -> int:
        """A file open for appending, made if it is not there."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def write(self, fd: int, data) -> None:
        """All of ``data``."""
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(fd, view) :]

    def sync_file(self, fd: int) -> None:
        """The file's bytes are on the disk when this returns."""
        os.fsync(fd)

    def sync_filesystem(self, fd: int) -> None:
        """All files on the file system of ``fd`` are on the disk: one call for a shard of many files."""
        call = _syncfs()
        if call is None:
            os.sync()
        elif call(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def uncache(self, fd: int) -> None:
        """Give back the memory in which the file's synced bytes are kept for readers; never raises."""
        with contextlib.suppress(OSError, AttributeError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def uncache_path(self, path: str) -> None:
        """The same of a file that is closed."""
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self.uncache(fd)
            finally:
                os.close(fd)

    def close(self, fd: int) -> None:
        """Close a file."""
        os.close(fd)

    def rename(self, old: str, new: str) -> None:
        """Give a file its final name."""
        os.replace(old, new)

    def link(self, old: str, new: str) -> None:
        """``new`` is a second name of the file ``old``, on the same file system."""
        os.link(old, new)

    def open(self, path: str) -> int:
        """A file open for reading."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def remove_directory(self, path: str) -> None:
        """Remove an empty folder."""
        os.rmdir(path)

    def sync_directory(self, path: str) -> None:
        """The names in a folder are on the disk when this returns."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)

    def make_directories(self, path: str) -> None:
        """A folder and those above it."""
        os.makedirs(path, exist_ok=True)

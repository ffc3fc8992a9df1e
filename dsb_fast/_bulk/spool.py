"""A folder of this machine in which files wait until a store has them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time

from .system import System

SPOOL = "dsb-fast-spool-"
_YOUNG_S = 60.0  # between its making and its locking a folder looks abandoned


class SpoolSystem(System):
    """The real calls, but that nothing is synced: what is in a spool is of no use after a crash."""

    def sync_file(self, fd: int) -> None:
        """Nothing."""

    def sync_filesystem(self, fd: int) -> None:
        """Nothing."""

    def sync_directory(self, path: str) -> None:
        """Nothing."""

    def uncache(self, fd: int) -> None:
        """Nothing: the file is about to be read."""

    def uncache_path(self, path: str) -> None:
        """Nothing."""


class Spool:
    """A new folder among the temporary ones, or in ``inside``; removed when closed, or by the next one after a kill."""

    def __init__(self, inside: str | None = None):
        if inside is None:
            _remove_abandoned()
        self.folder = tempfile.mkdtemp(prefix=SPOOL, dir=inside)
        self.folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.flock(self.folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Remove it and what is in it."""
        fd, self.folder_fd = self.folder_fd, -1
        if fd >= 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(fd)


def _remove_abandoned() -> None:
    """Remove the spools of this user's runs that were killed: nobody holds their locks."""
    folder = tempfile.gettempdir()
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if not name.startswith(SPOOL):
            continue
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < _YOUNG_S:
                continue
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)

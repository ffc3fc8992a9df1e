"""A folder of this machine in which files wait until a store has them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time

from .lock import WAIT_S, is_free, refusal
from .system import System

SPOOL = "dsb-fast-spool-"
_HOW = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
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
    """A new folder among the temporary ones, or in ``inside``; removed when closed, or by the next one after a kill.

    ``of`` is the URL that a run plans for, if it does. Raises DatasetError if another of this user does here.
    """

    def __init__(self, inside: str | None = None, of: str | None = None):
        if inside is None:
            _remove_abandoned()
        prefix = SPOOL if of is None else f"{SPOOL}{hashlib.sha256(of.encode()).hexdigest()[:32]}-"
        if of is not None:
            _refuse_second(prefix, of)
        self.folder = tempfile.mkdtemp(prefix=prefix, dir=inside)
        self.folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.flock(self.folder_fd, fcntl.LOCK_EX)  # who looks at it holds it for a moment

    def close(self) -> None:
        """Remove it and what is in it."""
        fd, self.folder_fd = self.folder_fd, -1
        if fd >= 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(fd)


def _refuse_second(prefix: str, url: str) -> None:
    """Raises DatasetError if a spool of ``url`` is in use for longer than the workers of a killed run are."""
    end = time.monotonic() + WAIT_S
    for path in _own(prefix):
        with contextlib.suppress(OSError):
            fd = os.open(path, _HOW)
            try:
                while not is_free(fd):
                    if time.monotonic() > end:
                        raise refusal(url, fd)
                    time.sleep(0.02)
            finally:
                os.close(fd)


def _own(prefix: str) -> list[str]:
    """This user's temporary folders whose names begin so."""
    folder, found = tempfile.gettempdir(), []
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            if name.startswith(prefix) and os.lstat(path).st_uid == os.getuid():
                found.append(path)
    return found


def _remove_abandoned() -> None:
    """Remove the spools of this user's runs that were killed: nobody holds their locks."""
    for path in _own(SPOOL):
        with contextlib.suppress(OSError):
            if time.time() - os.lstat(path).st_mtime < _YOUNG_S:
                continue
            fd = os.open(path, _HOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)

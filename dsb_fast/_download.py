"""Fetching published weights: once, whole, by one process at a time, to where they are found again.

``FILE.sha256`` holds the digest that later uses are held to (docs/checkpoints.md).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Callable
from typing import NamedTuple

from . import _files
from ._errors import CheckpointError, DownloadError, ModelError

_NOTE = re.compile(r"([0-9a-f]{64})  [^\n]*\n# size (\d+) mtime_ns (\d+)\n")
_log = logging.getLogger("dsb_fast")


class Wanted(NamedTuple):
    """Weights of model ``name``: where they are published and where they go; size and digest if they were recorded."""

    name: str
    url: str
    path: str
    size: int | None = None
    sha256: str | None = None


def offline() -> bool:
    """Whether ``DSB_OFFLINE`` forbids the network."""
    return os.environ.get("DSB_OFFLINE", "").lower() not in ("", "0", "false", "no")


def fetch(wanted: Wanted, progress: Callable[[], Callable[[int, int], None] | None] = lambda: None) -> str:
    """The file at ``wanted.path``, fetched if it is not there, and held to its digest.

    ``progress()`` gives what shows bytes done and to do. Raises ModelError where the network is forbidden,
    DownloadError if fetching fails, CheckpointError for a file that is not the published one or has changed.
    """
    if not os.path.isfile(wanted.path):
        if offline():
            raise ModelError(_by_hand(wanted, "DSB_OFFLINE forbids the network"))
        try:
            os.makedirs(os.path.dirname(os.path.abspath(wanted.path)), exist_ok=True)
            with _alone(wanted):
                if not os.path.isfile(wanted.path):
                    _fetch(wanted, progress())
        except OSError as error:
            place = error.filename or wanted.path
            why = f"{place}: {error.strerror or error}; DSB_CACHE_DIR names another folder"
            raise DownloadError(_by_hand(wanted, why)) from None
    check_recorded(wanted.path, wanted)
    return wanted.path


def check_recorded(path: str, wanted: Wanted | None = None) -> None:
    """Raises CheckpointError unless the file is the one whose digest is recorded beside it.

    Of a file that has the size and time of the record no byte is read: the readers of checkpoints do that. With
    ``wanted`` a file without a record, put there by hand, gets one, and the card's own size and digest hold too.
    """
    digest, unchanged = _recorded(path)
    if digest is None and wanted is None:
        return
    if wanted is not None and wanted.size not in (None, size := os.path.getsize(path)):
        raise CheckpointError(
            f"{path}: not the published weights of {wanted.name}: {size} bytes, the published file has {wanted.size}; "
            "delete it to fetch it again"
        )
    found = digest if unchanged else _files.sha256_of(path)
    if wanted is not None and wanted.sha256 not in (None, found):
        raise CheckpointError(
            f"{path}: not the published weights of {wanted.name}: SHA-256 is {found[:16]}..., {wanted.sha256[:16]}... "
            "was published; delete it to fetch it again"
        )
    if digest not in (None, found):
        raise CheckpointError(
            f"{path}: has changed since it was fetched: SHA-256 is {found[:16]}..., was {digest[:16]}...; delete it to "
            f"fetch it again, or delete {path}.sha256 if you changed it"
        )
    if not unchanged:
        _record(path, found)


def _recorded(path: str) -> tuple[str | None, bool]:
    """The digest noted beside the file, None if there is none, and whether size and time are still the noted ones."""
    try:
        with open(path + ".sha256", encoding="utf-8", errors="replace") as file:
            noted = _NOTE.fullmatch(file.read(4096))
    except OSError:
        noted = None
    if noted is None:
        return None, False
    status = os.stat(path)
    return noted[1], (str(status.st_size), str(status.st_mtime_ns)) == (noted[2], noted[3])


def _record(path: str, digest: str) -> None:
    """As ``sha256sum --check`` reads it. A folder that can't be written is no error: the file is then hashed again."""
    status = os.stat(path)
    note = f"{digest}  {os.path.basename(path)}\n# size {status.st_size} mtime_ns {status.st_mtime_ns}\n"
    with contextlib.suppress(OSError):
        _files.write_atomically(path + ".sha256", note.encode())


def _by_hand(wanted: Wanted, why: str) -> str:
    return (
        f"{wanted.name}: its weights can't be fetched ({why}); download {wanted.url} to {wanted.path}, or give "
        "--checkpoint FILE"
    )


@contextlib.contextmanager
def _alone(wanted: Wanted):
    """One process or thread at a time; the others wait. The lock's file goes when the work has succeeded."""
    path = wanted.path + ".lock"
    while True:
        with open(path, "wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info("%s: waiting for another process that fetches the weights", wanted.name)
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_named(file, path):
                continue  # whoever had it has finished and removed it
            yield
            os.unlink(path)
            return


def _is_named(file, path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


def _fetch(wanted: Wanted, show: Callable[[int, int], None] | None) -> None:
    """Fetch and publish. Raises OSError for the disk, DownloadError, CheckpointError."""
    from . import _http
    from ._bulk.system import System

    part, system = wanted.path + ".part", System()
    _log.info("%s: fetching %s", wanted.name, wanted.url)
    try:
        resumed = _http.receive(wanted.url, part, wanted.size, show)
        digest = _files.sha256_of(part)
        if resumed and wanted.sha256 not in (None, digest):  # the pieces may be of two versions
            _http.forget(part)
            _http.receive(wanted.url, part, wanted.size, show)
            digest = _files.sha256_of(part)
    except _http.Refused as error:
        raise DownloadError(_by_hand(wanted, str(error))) from None
    if wanted.sha256 not in (None, digest):
        _http.forget(part)
        raise CheckpointError(
            f"{wanted.url}: not the published weights of {wanted.name}: SHA-256 is {digest[:16]}..., "
            f"{wanted.sha256[:16]}... was published; give --checkpoint FILE"
        )
    with open(part, "rb+") as file:
        system.sync_file(file.fileno())
    system.rename(part, wanted.path)
    system.sync_directory(os.path.dirname(os.path.abspath(wanted.path)))
    _record(wanted.path, digest)
    _http.forget(part)
    _log.info("%s: fetched; SHA-256 %s", wanted.name, digest)

"""The files of one shard on their way to their final names."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from typing import Protocol

import numpy as np

from .._errors import GenerationError
from .kept import about_kept
from .plan import Shard
from .system import System
from .writers import Format
from .writers.npy import npy_header

TEMPORARY = ".dsb-tmp-"
# Bytes a call: on ext4 of Linux 6.18 5 MB and more were seen to go at 0.4 GB/s, 256 kB at 5 (docs/dataset.md).
_WRITE = 1 << 18


class Folder(Protocol):
    """Where shards go: a locked folder, how to reach the disk, and who notes what has been published."""

    folder: str
    folder_fd: int
    system: System

    def note(self, record: dict) -> None:
        """A shard has been published."""


def samples_digest(format_: Format, shard: Shard):
    """A hash that takes the samples of ``shard`` one after the other: SHA-256 of the .npy file that would hold them."""
    return hashlib.sha256(npy_header(format_.context.dtype, (shard.count, *format_.context.shape)))


def refuse_moved(folder: str, folder_fd: int) -> None:
    """Raises GenerationError unless the path ``folder`` is still the folder that was locked as ``folder_fd``.

    In one that has taken its place another run may be at work, under the same temporary names.
    """
    if folder_fd < 0:
        return
    try:
        if os.path.samestat(os.stat(folder), os.fstat(folder_fd)):
            return
    except (FileNotFoundError, NotADirectoryError):
        pass
    raise GenerationError(f"{folder}: was moved, removed or replaced while this run worked in it; start it again")


def temporary_path(folder: str, name: str) -> str:
    """Where the file that will be ``name`` is written: in ``folder`` itself, though ``name`` may be a folder lower."""
    return os.path.join(folder, TEMPORARY + name.replace("/", "-"))


def give_names(system: System, folder: str, folder_fd: int, names: list[str]) -> None:
    """Files of the locked folder that are whole get their final names, which are on the disk when this returns.

    A name may be in a folder of the format's own, as ``signal_uv/zarr.json``, made here.
    """
    refuse_moved(folder, folder_fd)
    inner = sorted({os.path.join(folder, os.path.dirname(name)) for name in names if "/" in name})
    for path in inner:
        if os.path.islink(path):
            raise NotADirectoryError(errno.ENOTDIR, "is a link; a folder of the dataset's own is needed", path)
        system.make_directories(path)
    for name in names:
        system.rename(temporary_path(folder, name), os.path.join(folder, name))
    for path in (*inner, folder):
        system.sync_directory(path)


class ShardFiles:
    """The files of one shard: written under temporary names, published together."""

    def __init__(self, folder: Folder, shard: Shard, format_: Format):
        self.folder, self.shard = folder, shard
        self._names = iter(format_.shard_files(shard))
        self._final: list[str] = []
        self._fd: int | None = None
        self._one_file = not format_.file_per_sample
        self._digest, self._bytes = hashlib.sha256(), 0
        self._samples = samples_digest(format_, shard)
        if format_.is_npy and not format_.label_files(shard):
            self._samples = None  # it is that of the file

    def _temporary(self, name: str) -> str:
        return temporary_path(self.folder.folder, name)

    def next_file(self) -> None:
        """Begin the next file of the shard; the one before it is closed."""
        self._close()
        if not self._final:
            refuse_moved(self.folder.folder, self.folder.folder_fd)
        name = next(self._names)
        self._fd = self.folder.system.create(self._temporary(name))
        self._final.append(name)

    def digest(self, data) -> memoryview:
        """Take ``data`` into the checksum of the shard's bytes; returns it as :meth:`write` wants it."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._bytes += view.nbytes
        return view

    def write(self, view: memoryview) -> None:
        """Bytes of the current file."""
        for begin in range(0, view.nbytes, _WRITE):
            self.folder.system.write(self._fd, view[begin : begin + _WRITE])

    def add_samples(self, samples: np.ndarray) -> None:
        """Decoded samples, for the digest that does not depend on an encoder."""
        if self._samples:
            self._samples.update(np.ascontiguousarray(samples))

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self.folder.system.close(fd)

    def record(self, samples_sha256: str) -> dict:
        """What a manifest says of the shard, all of whose files are written."""
        return {
            "name": self.shard.name if not self._one_file or not self._final else self._final[0],
            "first": self.shard.first,
            "count": self.shard.count if self.shard.kept is None else self.shard.tried,
            **about_kept(self.shard),
            "bytes": self._bytes,
            "sha256": self._digest.hexdigest(),
            "samples_sha256": samples_sha256,
        }

    def publish(self) -> dict:
        """Sync, rename, sync the folder, note in the journal; the shard's record."""
        record = self.record((self._samples or self._digest).hexdigest())
        self._settle(record)
        return record

    def _settle(self, record: dict) -> None:
        system = self.folder.system
        if self._final:
            if self._one_file and len(self._final) == 1:
                system.sync_file(self._fd)
                system.uncache(self._fd)
            else:
                system.sync_filesystem(self.folder.folder_fd)
                for name in self._final:
                    system.uncache_path(self._temporary(name))
            self._close()
            give_names(system, self.folder.folder, self.folder.folder_fd, self._final)
        else:
            refuse_moved(self.folder.folder, self.folder.folder_fd)
        self.folder.note(record)

    def discard(self) -> None:
        """Remove what has not been published; never raises OSError, and what it can't remove the next run will."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError, GenerationError):
            refuse_moved(self.folder.folder, self.folder.folder_fd)
            for name in self._final:
                with contextlib.suppress(OSError):
                    self.folder.system.unlink(self._temporary(name))

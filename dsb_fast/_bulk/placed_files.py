"""The files of a shard that was made in another folder, on their way to their final names in this one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from .._errors import VerificationError
from .plan import Shard
from .shard_files import Folder, ShardFiles
from .writers import Format

_BLOCK = 1 << 18
# What link(2) says where it can't be done: other file systems, one that knows no links, too many, files of others.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}


class PlacedFiles(ShardFiles):
    """The files of one shard, linked or copied under temporary names and read once, then published together.

    ``check()`` is called at every block that is read, and may raise.
    """

    def __init__(self, folder: Folder, shard: Shard, format_: Format, check: Callable[[], None]):
        super().__init__(folder, shard, format_)
        self._all_names, self._check = format_.shard_files(shard), check
        self.copied = False

    def place(self, source: str, record: dict, link: bool, called: str | None = None) -> None:
        """Publish the shard's files of the folder ``source``, whose manifest has ``record``; copies unless ``link``.

        ``called`` is what errors are to call it. Raises VerificationError if the files are not those of the record.
        """
        called = called or source
        for name in self._all_names:
            path = os.path.join(source, name)
            problem = _problem(path)
            if problem:
                raise _damaged(called, record, problem)
            if not (link and self._linked(path, name)):
                self._copy(path)
        found = self.record(record["samples_sha256"])
        if any(found[key] != record[key] for key in found):
            raise _damaged(called, record, "does not have the recorded bytes")
        self._settle(found)

    def _linked(self, path: str, name: str) -> bool:
        """Make the next file a second name of ``path``; False if that can't be done here."""
        if os.path.islink(path):  # the link would be to the link
            return False
        self._close()
        temporary, final = self._temporary(name), os.path.join(self.folder.folder, name)
        try:
            self.folder.system.link(path, temporary)
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        self._final.append(next(self._names))
        if os.path.exists(final) and os.path.samefile(temporary, final):
            self.folder.system.unlink(final)  # a kill left it; of two names of one file rename(2) removes none
        self._fd = self.folder.system.open(temporary)
        with open(self._fd, "rb", buffering=0, closefd=False) as file:
            for _ in self._blocks(file):
                pass
        return True

    def _copy(self, path: str) -> None:
        self.copied = True
        with open(path, "rb", buffering=0) as file:
            self.next_file()
            for view in self._blocks(file):
                self.write(view)

    def _blocks(self, file: BinaryIO):
        """What is in ``file``, in the digest already; a block is good until the next is asked for."""
        buffer = memoryview(bytearray(_BLOCK))
        while size := file.readinto(buffer):
            self._check()
            yield self.digest(buffer[:size])


def _problem(path: str) -> str:
    """Why no file can be read there; '' if one can."""
    try:
        return "" if stat.S_ISREG(os.stat(path).st_mode) else f"has {os.path.basename(path)}, which is no file"
    except (FileNotFoundError, NotADirectoryError):
        return "has missing files"


def _damaged(source: str, record: dict, what: str) -> VerificationError:
    return VerificationError(
        f"{source}: shard {record['name']} {what}; mend it with the command that made this part, then merge again"
    )

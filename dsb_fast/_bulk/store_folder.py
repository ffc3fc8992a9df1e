"""Where shards go that end in a store: a spool on this machine, and from there, checked, to their final names."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable

from .journal import journal_bytes
from .manifest_file import JOURNAL
from .shard_files import TEMPORARY
from .spool import Spool, SpoolSystem
from .store import Store


def journal_object(name: str) -> str:
    """The name of a journal's object: objects can't be appended to, so a store's journal is one for every shard."""
    return f"{JOURNAL}/{name}.jsonl"


class StoreFolder:
    """A ``Folder`` (shard_files.py) for the dataset of ``recipe`` at ``url``; any number of them may work side by side.

    A shard is there when ``note`` has returned: its files are uploaded and checked, then its record. ``published``
    is called with the record. ``inside`` is a folder for the spool, if it is not to be among the temporary ones.
    """

    def __init__(
        self, url: str, recipe: dict, published: Callable[[dict], None] | None = None, inside: str | None = None
    ):
        self.store, self.recipe = Store(url), recipe
        self._published = published
        self.system = SpoolSystem()
        self._spool = Spool(inside)

    @property
    def folder(self) -> str:
        """Where files are written."""
        return self._spool.folder

    @property
    def folder_fd(self) -> int:
        """The spool, open and locked."""
        return self._spool.folder_fd

    def note(self, record: dict) -> None:
        """Upload the files of a shard that is whole in the spool, then its record. Raises OSError."""
        names = self._spooled()
        try:
            sizes = [os.path.getsize(os.path.join(self.folder, name)) for name in names]
            if sum(sizes) != record["bytes"]:
                raise OSError(errno.EIO, f"{sum(sizes)} bytes are left of {record['bytes']}", self.folder)
            list(self.store.each(lambda name: self.store.put_file(name, os.path.join(self.folder, name)), names))
            self.store.put(journal_object(f"{record['first']:09d}"), journal_bytes(self.recipe, [record]))
        finally:
            for name in names:
                with contextlib.suppress(OSError):
                    self.system.unlink(os.path.join(self.folder, name))
        if self._published:
            self._published(record)

    def _spooled(self) -> list[str]:
        """The files with final names that wait in the spool: those of one shard."""
        found = []
        for path, _, names in os.walk(self.folder):
            inner = os.path.relpath(path, self.folder)
            found += [os.path.normpath(os.path.join(inner, name)) for name in names if not name.startswith(TEMPORARY)]
        return sorted(found)

    def close(self) -> None:
        """Drop what has not been uploaded."""
        self._spool.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

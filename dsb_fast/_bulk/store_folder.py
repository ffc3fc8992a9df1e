"""Where shards go that end in a store: a spool on this machine, and from there, checked, to their final names."""

from __future__ import annotations

import errno
import os
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from .journal import journal_bytes
from .manifest_file import JOURNAL
from .shard_files import TEMPORARY
from .spool import SPOOL, Spool, SpoolSystem
from .store import Store

_SHARDS_AT_ONCE = 4  # uploads: a round trip takes as long as making a shard of ECGs, and a shard has several


def journal_object(name: str) -> str:
    """The name of a journal's object: objects can't be appended to, so a store's journal is one for every shard."""
    return f"{JOURNAL}/{name}.jsonl"


class StoreFolder:
    """A ``Folder`` (shard_files.py) for the dataset of ``recipe`` at ``url``; any number of them may work side by side.

    ``note`` hands a shard over: its files are uploaded and checked, then its record, a few shards at once; then
    ``published`` is called with the record, from another thread. After :meth:`settle` all are there. As a context it
    settles at the end, unless something is raised. ``inside`` is a folder for the spool, if it is not to be among the
    temporary ones; ``alone`` refuses (DatasetError) a second one for the URL of this user on this machine.
    """

    def __init__(
        self,
        url: str,
        recipe: dict,
        published: Callable[[dict], None] | None = None,
        inside: str | None = None,
        alone: bool = False,
    ):
        self.store, self.recipe = Store(url), recipe
        self._published = published
        self.system = SpoolSystem()
        self._spool = Spool(inside, self.store.url if alone else None)
        self._uploader = ThreadPoolExecutor(_SHARDS_AT_ONCE, thread_name_prefix="dsb_fast_upload")
        self._uploads: deque[Future] = deque()

    @property
    def folder(self) -> str:
        """Where files are written."""
        return self._spool.folder

    @property
    def folder_fd(self) -> int:
        """The spool, open and locked."""
        return self._spool.folder_fd

    def note(self, record: dict) -> None:
        """Take the files of a shard that is whole in the spool. Raises OSError, of this upload or of one before."""
        while len(self._uploads) >= _SHARDS_AT_ONCE or (self._uploads and self._uploads[0].done()):
            self._uploads.popleft().result()
        folder = os.path.join(self.folder, f"{TEMPORARY}upload-{record['first']}")
        names = self._spooled()
        for name in names:
            self.system.make_directories(os.path.dirname(os.path.join(folder, name)))
            self.system.rename(os.path.join(self.folder, name), os.path.join(folder, name))
        self._uploads.append(self._uploader.submit(self._upload, folder, names, record))

    def settle(self) -> None:
        """Wait until all shards that were noted are in the store. Raises OSError."""
        while self._uploads:
            self._uploads.popleft().result()

    def _upload(self, folder: str, names: list[str], record: dict) -> None:
        try:
            size = sum(os.path.getsize(os.path.join(folder, name)) for name in names)
            if size != record["bytes"]:
                raise OSError(errno.EIO, f"{size} bytes are left of {record['bytes']}", folder)
            self.store.each(lambda name: self.store.put_file(name, os.path.join(folder, name)), names)
            self.store.put(journal_object(f"{record['first']:09d}"), journal_bytes(self.recipe, [record]))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if self._published:
            self._published(record)

    def _spooled(self) -> list[str]:
        """The files with final names in the spool: those of one shard."""
        found = []
        for path, inner, names in os.walk(self.folder):
            inner[:] = [name for name in inner if not name.startswith((TEMPORARY, SPOOL))]
            found += [os.path.join(path, name) for name in names if not name.startswith(TEMPORARY)]
        return sorted(os.path.relpath(path, self.folder) for path in found)

    def close(self) -> None:
        """Drop what is not in the store; uploads that are under way get a few seconds."""
        self.store.give_up()
        self._uploader.shutdown(cancel_futures=True)
        self._spool.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.settle()
        finally:
            self.close()

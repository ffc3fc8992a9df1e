"""The dataset folder: recipe, journal, manifest. The only module that gives files their final names.

Order of events for a shard: bytes under a temporary name, sync, rename, sync of the folder, line in the journal. At the
end the journal is folded into ``dataset.json``. So whatever the moment of a kill, a shard that the journal names is
whole, and anything else is made again. docs/dataset.md has the format.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain

from .._errors import DatasetError, GenerationError
from .._files import open_plain
from .journal import journal_bytes, journal_records
from .kept import stored_of
from .lock import lock
from .manifest_file import JOURNAL, MANIFEST, make_manifest, manifest_bytes, read_manifest, refuse_other
from .plan import Plan, Shard
from .read import index_files
from .removal import remove_behind, remove_dataset, remove_file
from .shard_files import TEMPORARY, give_names, refuse_moved, temporary_path
from .system import System
from .until import Target, end_of_finished
from .writers import Format, FormatContext


class Dataset:
    """A folder that one process works on. Opening it locks it, checks what is there and clears what a kill left."""

    url: str | None = None  # of those in a store

    def __init__(
        self,
        folder: str,
        recipe: dict,
        format_: Format,
        overwrite: bool = False,
        extend: bool = False,
        system: System | None = None,
        until: int | None = None,
    ):
        self.folder, self.recipe, self.format = folder, recipe, format_
        self.system = system or System()
        self.records: dict[int, dict] = {}  # by first sample
        self.complete = False
        self.until, self.target = until, None  # samples to keep, and where the last of them is looked for
        self._journal: int | None = None
        self.folder_fd = -1
        self._make_folder()
        try:
            lock(self.folder, self.folder_fd)
            self._adopt(overwrite, extend)
        except DatasetError:  # refused: nothing in the folder is touched
            self.close()
            raise
        except BaseException as error:
            self.__exit__(type(error))
            raise

    def _make_folder(self) -> None:
        try:
            self.system.make_directories(self.folder)
            self.folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileExistsError, NotADirectoryError):
            raise DatasetError(f"{self.folder}: not a folder; name one that is, or a new one") from None
        except (FileNotFoundError, PermissionError) as error:
            raise GenerationError(
                f"{self.folder}: this folder can't be opened or made ({error.strerror}); name another one"
            ) from None

    def _adopt(self, overwrite: bool, extend: bool) -> None:
        """Decide from what is in the folder: begin, go on, make it longer, or refuse."""
        try:
            manifest = read_manifest(self.folder)
        except DatasetError:
            if not overwrite:
                raise
            manifest = None
        if not overwrite:
            self._refuse_foreign(manifest, extend or self.until is not None)
        elif manifest:
            remove_dataset(self.folder, manifest, self.system)
            manifest = None
        end = None
        if manifest and manifest["complete"] and self.until:
            end = end_of_finished(self.folder, manifest, self.until)
            if end == manifest["count"]:
                self._become(end)
        self._remove_temporaries()
        if manifest is None:
            self._begin()
        elif manifest["count"] != self.recipe["count"] or end not in (None, manifest["count"]):
            self._extend(manifest)
        elif manifest["complete"]:
            self._recheck(manifest)
        else:
            self._resume()

    def _refuse_foreign(self, manifest: dict | None, extend: bool) -> None:
        if manifest is None:
            others = sorted(name for name in os.listdir(self.folder) if not name.startswith(TEMPORARY))
            if others:
                raise DatasetError(
                    f"{self.folder}: not empty (it has {others[0]!r}) and no dataset of dsb_fast; "
                    "name another folder, or use --overwrite"
                )
            return
        refuse_other(self.folder, manifest, self.recipe, extend)

    def _become(self, count: int) -> None:
        """The dataset is to have ``count`` samples."""
        self.recipe = {**self.recipe, "count": count}
        self.format = type(self.format)(FormatContext.of(self.recipe))

    def _unlink(self, name: str) -> None:
        refuse_moved(self.folder, self.folder_fd)
        remove_file(self.folder, name, self.system)

    def _remove_temporaries(self) -> None:
        for name in os.listdir(self.folder):
            if name.startswith(TEMPORARY):
                self._unlink(name)

    def _publish_file(self, name: str, pieces: Iterable[bytes]) -> None:
        refuse_moved(self.folder, self.folder_fd)
        _publish_file(self.folder, self.folder_fd, name, pieces, self.system)

    def _in_order(self) -> list[dict]:
        return [self.records[first] for first in sorted(self.records)]

    def _publish_manifest(self, complete: bool) -> None:
        self._publish_file(MANIFEST, [manifest_bytes(make_manifest(self.recipe, self._in_order(), complete))])

    def _begin(self) -> None:
        self._unlink(JOURNAL)  # of a manifest that could not be read
        self._publish_manifest(False)
        self._open_journal()

    def _open_journal(self) -> None:
        """Write the journal anew with what is known to be whole, then go on appending to it."""
        if self._journal is not None:
            before, self._journal = self._journal, None
            self.system.close(before)
        self._publish_file(JOURNAL, [journal_bytes(self.recipe, self._in_order())])
        self._journal = self.system.append(os.path.join(self.folder, JOURNAL))

    def _journalled(self, recipe: dict) -> Iterator[dict]:
        """The records of the journal of ``recipe``; a torn last line ends it."""
        try:
            with open_plain(os.path.join(self.folder, JOURNAL)) as file:
                return journal_records(file.read(), recipe)
        except FileNotFoundError:
            return iter(())

    def _keep_whole(self, records) -> None:
        """Of ``records`` those whose files have the recorded bytes."""
        plan = self.plan
        for record in records:
            shard = stored_of(plan, self.recipe, record)
            if shard and self.file_digest(shard) == (record["sha256"], record["bytes"]):
                self.records[record["first"]] = record

    def _resume(self) -> None:
        self._keep_whole(self._journalled(self.recipe))
        self._open_journal()

    def _recheck(self, manifest: dict) -> None:
        """A finished dataset: nothing is written unless a shard is not what the manifest says."""
        self._keep_whole(manifest["shards"])
        if len(self.records) == len(manifest["shards"]) and index_is_whole(
            self.folder, self.format, self.recipe, manifest["shards"]
        ):
            self.complete = True
            self._unlink(JOURNAL)  # a kill between the manifest and the journal's removal leaves one
            return
        self._open_journal()
        self._publish_manifest(False)

    def _extend(self, manifest: dict) -> None:
        """A shorter dataset of the same recipe: its whole shards stay, a last one with fewer samples is made anew."""
        journalled = chain(self._journalled(manifest), self._journalled(self.recipe))  # the other's has no records
        self._keep_whole(manifest["shards"] if manifest["complete"] else journalled)
        self._open_journal()
        self._publish_manifest(False)

    @property
    def plan(self) -> Plan:
        """The shards that the recipe calls for."""
        return Plan.of(self.recipe)

    def missing(self) -> Iterator[Shard]:
        """Shards that are not there yet, in order; no more once ``until`` samples are kept."""
        if self.until and not self.target:
            self.target = Target(self.until, self.plan, self.records)
        for shard in self.plan:
            if self.target and self.target.is_reached():
                return
            if shard.first not in self.records:
                yield shard

    def end_at_target(self) -> None:
        """Become the dataset that ends with the last sample that is wanted; its last shard may then be missing."""
        if not self.target or not self.target.is_reached():
            return
        number, last = self.target.last
        remove_behind(self.folder, self.format, Plan.whole(self.recipe), number, last, self.system)
        self._become(self.target.end)
        self.target = None
        records, self.records = self._in_order(), {}
        for record in records:
            if stored_of(self.plan, self.recipe, record):
                self.records[record["first"]] = record
        self._publish_manifest(False)  # before the journal, which the recipe that was asked for is still found in
        self._open_journal()

    @property
    def samples_there(self) -> int:
        """How many samples the shards have that are there."""
        return sum(record["count"] for record in self.records.values())

    def file_digest(self, shard: Shard) -> tuple[str, int] | None:
        """SHA-256 and size of a shard's files, one after the other; None if one is missing."""
        return digest_of_files(self.folder, self.format.shard_files(shard))

    def note(self, record: dict) -> None:
        """Put a published shard into the journal."""
        self.system.write(self._journal, (json.dumps(record) + "\n").encode())
        self.system.sync_file(self._journal)
        self.records[record["first"]] = record

    def accept(self, record: dict) -> None:
        """Take the record of a shard that another process has published."""
        self.note(record)

    def remove_temporaries(self) -> None:
        """Remove what other processes that worked on the folder, and have ended, left half done."""
        self._remove_temporaries()

    def finish(self) -> None:
        """Write the format's index, then fold the journal into the manifest."""
        for name, pieces in index_files(self.format, self.recipe, self._in_order()):
            self._publish_file(name, pieces)
        self._publish_manifest(True)
        self.complete = True
        self._unlink(JOURNAL)
        self.system.sync_directory(self.folder)

    def leave_recipe(self) -> None:
        """Leave a folder in which nothing was made with its ``dataset.json`` alone."""
        if not self.complete and not self.records:
            self._unlink(JOURNAL)
            self.system.sync_directory(self.folder)

    def close(self) -> None:
        """Give the folder back."""
        journal, self._journal = self._journal, None
        folder_fd, self.folder_fd = self.folder_fd, -1
        try:
            if journal is not None:
                with contextlib.suppress(OSError):
                    self.system.close(journal)
        finally:
            if folder_fd >= 0:
                os.close(folder_fd)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is not None:  # the lock is ours, so every temporary name is
                with contextlib.suppress(OSError, GenerationError):
                    self._remove_temporaries()
        finally:
            self.close()


def retire(folder: str, manifest: dict, system: System) -> None:
    """Remove a finished dataset that is in another folder too. Killed on the way, an unfinished one is left.

    Raises DatasetError if another process works on it.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(folder, fd)
        for name in os.listdir(folder):
            if name.startswith(TEMPORARY):
                remove_file(folder, name, system)
        unfinished = {**manifest, "complete": False, "shards": []}
        _publish_file(folder, fd, MANIFEST, [manifest_bytes(unfinished)], system)
        remove_dataset(folder, manifest, system)
    finally:
        os.close(fd)


def _publish_file(folder: str, folder_fd: int, name: str, pieces: Iterable[bytes], system: System) -> None:
    fd = system.create(temporary_path(folder, name))
    try:
        for data in pieces:
            system.write(fd, data)
        system.sync_file(fd)
    finally:
        system.close(fd)
    give_names(system, folder, folder_fd, [name])


def digest_of_files(folder: str, names: list[str]) -> tuple[str, int] | None:
    """SHA-256 and size of files one after the other; None if one is missing."""
    digest, size = hashlib.sha256(), 0
    for name in names:
        try:
            with open_plain(os.path.join(folder, name)) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    size += len(block)
        except FileNotFoundError:
            return None
    return digest.hexdigest(), size


def index_is_whole(folder: str, format_: Format, recipe: dict, records: list[dict]) -> bool:
    """Whether the files of a format for the whole dataset are what the plan calls for."""
    for name, pieces in index_files(format_, recipe, records):
        try:
            with open_plain(os.path.join(folder, name)) as file:
                if any(file.read(len(piece)) != piece for piece in pieces) or file.read(1):
                    return False
        except FileNotFoundError:
            return False
    return True

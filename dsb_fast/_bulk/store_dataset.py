"""A dataset in a store. What a folder does by rename and appending is done here by whole objects.

Order of events: an object that names the recipe, ``dataset.json`` of an unfinished dataset; for each shard its files,
checked, then its record in an object of its own; at the end ``dataset.json`` with all records, then the journal's
objects go. docs/stores.md has the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from .._errors import DatasetError
from .journal import is_journal_of, journal_bytes, journal_records
from .kept import stored_of
from .manifest_file import (
    JOURNAL,
    MANIFEST,
    MAX_MANIFEST,
    make_manifest,
    manifest_bytes,
    parse_manifest,
    refuse_other,
)
from .plan import Plan, Shard
from .read import index_files
from .removal import own_names
from .store_folder import StoreFolder, journal_object
from .writers import Format


class StoreDataset(StoreFolder):
    """The dataset of ``recipe`` at ``url``, for one process that plans; opening it checks what is there.

    As :class:`~dsb_fast._bulk.manifest.Dataset`, but that its lock, the spool's, is of this machine: stores have none.
    """

    until = None

    def __init__(self, url: str, recipe: dict, format_: Format, overwrite: bool = False, extend: bool = False):
        super().__init__(url, recipe, self.accept, alone=True)
        self.format = format_
        self.records: dict[int, dict] = {}  # by first sample
        self.complete = False
        try:
            self._adopt(overwrite, extend)
            self.__dict__.pop("_sizes", None)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where the dataset is."""
        return self.store.url

    @property
    def plan(self) -> Plan:
        """The shards that the recipe calls for."""
        return Plan.of(self.recipe)

    def missing(self) -> Iterator[Shard]:
        """Shards that are not there yet, in order."""
        self.settle()
        return (shard for shard in self.plan if shard.first not in self.records)

    @property
    def samples_there(self) -> int:
        """How many samples the shards have that are there."""
        return sum(record["count"] for record in self.records.values())

    def accept(self, record: dict) -> None:
        """Take the record of a shard that is published, here or by another process."""
        self.records[record["first"]] = record

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Bytes of what was there when this was opened, by name. Asked for only where a dataset is."""
        return self.store.sizes()

    def _adopt(self, overwrite: bool, extend: bool) -> None:
        """Decide from what is there: begin, go on, make it longer, or refuse."""
        manifest, damaged = None, None
        try:
            manifest = self._manifest()
        except DatasetError as error:
            damaged = error
        if overwrite:
            self._remove(manifest)
            self._open_journal()
        elif manifest is None:
            journals = self._journals()
            if any(is_journal_of(data, self.recipe) for data in journals):  # a kill came before the manifest was whole
                self._resume(journals, self.recipe)
            else:
                self._refuse_foreign(damaged)
                self._open_journal()
        else:
            refuse_other(self.url, manifest, self.recipe, extend)
            if manifest["complete"]:
                self._recheck(manifest)
            else:
                self._resume(self._journals(), manifest)

    def _manifest(self) -> dict | None:
        """The manifest that is there. Raises DatasetError if it is damaged."""
        where = self.store.url_of(MANIFEST)
        if (self.store.size(MANIFEST) or 0) > MAX_MANIFEST:
            raise DatasetError(f"{where}: too large to be a manifest")
        data = self.store.read(MANIFEST)
        return None if data is None else parse_manifest(where, data)

    def _refuse_foreign(self, damaged: DatasetError | None) -> None:
        if damaged:
            raise damaged
        others = set(self.store.names()) - {JOURNAL}
        if others:
            raise DatasetError(
                f"{self.url}: not empty (it has {min(others)!r}) and no dataset of dsb_fast; "
                "name another folder, or use --overwrite"
            )

    def _remove(self, manifest: dict | None) -> None:
        """Remove the objects of the dataset that is there, its manifest last."""
        self._remove_journal()
        if manifest:
            self.store.remove(own_names(manifest, list(self._sizes)))
            self.store.remove([MANIFEST])

    def _remove_journal(self) -> None:
        self.store.remove(self.store.sizes(JOURNAL))

    def _journals(self) -> list[bytes]:
        """What the journal's objects say."""
        names = [name for name, size in self.store.sizes(JOURNAL).items() if size <= MAX_MANIFEST]
        return [data for data in self.store.each(self.store.read, names) if data is not None]

    def _open_journal(self) -> None:
        """Note what is known to be whole in one object, and say that the dataset is unfinished."""
        self.store.put(journal_object("recipe"), journal_bytes(self.recipe, self._in_order()), late_harms=True)
        self._put_manifest(False)

    def _in_order(self) -> list[dict]:
        return [record for _, record in sorted(self.records.items())]

    def _put_manifest(self, complete: bool) -> None:
        manifest = make_manifest(self.recipe, self._in_order(), complete)
        self.store.put(MANIFEST, manifest_bytes(manifest), late_harms=True)

    def _resume(self, journals: list[bytes], recipe: dict) -> None:
        """Go on with ``recipe``, the dataset's own or one with fewer samples."""
        for data in journals:
            self._keep_whole(journal_records(data, recipe))
        self._open_journal()

    def _recheck(self, manifest: dict) -> None:
        """A finished dataset: nothing is written unless it is made longer, or lacks something."""
        self._keep_whole(manifest["shards"])
        if len(self.records) == self.plan.shards and self._index_is_whole():
            self.complete = True
            self._remove_journal()  # a kill between the manifest and the journal's removal leaves one
        else:
            self._open_journal()

    def _keep_whole(self, records: Iterable[dict]) -> None:
        """Of ``records`` those whose files are there and have the recorded number of bytes."""
        plan = self.plan
        for record in records:
            shard = stored_of(plan, self.recipe, record)
            if shard and self._size_of(shard) == record["bytes"]:
                self.accept(record)

    def _size_of(self, shard: Shard) -> int | None:
        sizes = [self._sizes.get(name) for name in self.format.shard_files(shard)]
        return None if None in sizes else sum(sizes)

    def _index_is_whole(self) -> bool:
        return all(
            name in self._sizes and self.store.read(name) == b"".join(pieces)
            for name, pieces in index_files(self.format, self.recipe, self._in_order())
        )

    def finish(self) -> None:
        """Write the format's index, then fold the journal into the manifest."""
        self.settle()
        for name, pieces in index_files(self.format, self.recipe, self._in_order()):
            self.store.put(name, b"".join(pieces))
        self._put_manifest(True)
        self.complete = True
        self._remove_journal()

    def leave_recipe(self) -> None:
        """Leave a place in which nothing was made with its ``dataset.json`` alone."""
        if not self.complete and not self.records:
            self._remove_journal()

"""Parts of a dataset, made by themselves, joined to what one run would have made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from .._errors import DatasetError, InputError, VerificationError
from .interrupts import HeldInterrupts
from .kept import YIELD, stored
from .manifest import Dataset, retire
from .manifest_file import JOURNAL, MAX_SHARDS, describe_difference, read_manifest
from .placed_files import PlacedFiles
from .places import fetched, is_url, left_in, open_dataset, resolve, stopped
from .plan import SHARD_RANGE, Plan
from .read import open_format
from .shard_files import TEMPORARY
from .system import System

_NOT_RECIPE = (SHARD_RANGE, YIELD, "synthetic", "engine_version", "complete", "shards")


@dataclass(frozen=True)
class Merged:
    """What was done; 0 shards if the dataset was finished already."""

    samples: int
    shards: int
    copied: int  # of the shards; the others are second names of the parts' files
    parts: int
    removed: int  # parts that are no longer there

    def sentence(self) -> str:
        """The result in words."""
        how = f", {self.copied} shards copied" if self.copied else ""
        gone = f"; {self.removed} parts removed" if self.removed else ""
        return f"{self.samples} samples in {self.shards} shards of {self.parts} parts{how}{gone}"


@dataclass(frozen=True)
class _Part:
    folder: str
    manifest: dict

    @property
    def shards(self) -> tuple[int, int]:
        """Its first shard, and the one after its last."""
        return tuple(self.manifest.get(SHARD_RANGE) or (0, Plan.whole(self.manifest).shards))


def merge(
    parts: list[str],
    folder: str,
    *,
    copy: bool = False,
    move: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    system: System | None = None,
) -> Merged | None:
    """Make in ``folder`` the dataset that ``parts``, folders in any order, are all shards of.

    Files become second names of the parts' files (hard links), or copies where that can't be, or with ``copy``; with
    ``move`` the parts are removed once the dataset is finished. Returns None if it was there already and no part was
    removed. Raises DatasetError for parts that are unfinished, of different recipes, too few or too many,
    VerificationError for one that is damaged, GenerationError if the disk fails; then the same call goes on with the
    rest.
    """
    if move and overwrite:  # begun again after a kill, it would remove what the removed parts have become
        raise InputError("--move, --overwrite: together they could lose samples; give one of them")
    system, folder, parts = system or System(), resolve(folder), [resolve(part) for part in parts]
    for place in (folder, *parts) if move else ():
        if is_url(place):
            raise InputError(f"--move: {place} is in a store, where no two files are one; leave --move out")
    whole, found = _read_parts(parts, folder, move)
    recipe = {key: value for key, value in whole.manifest.items() if key not in _NOT_RECIPE}
    plan, copied = Plan.of(recipe), 0
    if plan.shards > MAX_SHARDS:
        raise DatasetError(
            f"{folder}: {plan.shards} shards are more than a dataset.json holds ({MAX_SHARDS}); use the parts by "
            "themselves"
        )
    try:
        with open_dataset(folder, recipe, open_format(whole.folder, recipe), overwrite, system=system) as dataset:
            for part in found:
                _check_same_files(part, dataset)
            there = dataset.complete
            if not there:
                copied = _place(found, dataset, not copy, progress)
                dataset.finish()
            removed = _retire(found, parts, system) if move else 0
    except OSError as error:
        raise stopped(folder, error) from error
    return None if there and not removed else Merged(plan.count, plan.shards, copied, len(found), removed)


def _read_parts(parts: list[str], folder: str, move: bool) -> tuple[_Part, list[_Part]]:
    """What has the recipe, and the parts by their first shards, checked against each other. Raises DatasetError.

    With ``move``, if ``folder`` has the dataset already, it has the recipe, and parts may be gone.
    """
    for path in parts:
        if os.path.realpath(path) == os.path.realpath(folder):
            raise DatasetError(f"{path}: a part, it can't be where the parts are joined; name another folder")
    merged = _finished(folder) if move else None
    found = [_Part(path, manifest) for path in parts if (manifest := _read(path, merged is not None))]
    first = _Part(folder, merged) if merged else found[0]
    for part in found:
        differences = describe_difference(_as_whole(first.manifest), _as_whole(part.manifest))
        if differences:
            raise DatasetError(f"{part.folder}: of another recipe than {first.folder} ({'; '.join(differences)})")
    found.sort(key=lambda part: part.shards)
    _check_ranges(found, Plan.whole(first.manifest).shards, merged is not None)
    return _Part(folder, merged) if merged else found[0], found


def _as_whole(manifest: dict) -> dict:
    return {key: value for key, value in manifest.items() if key != SHARD_RANGE}


def _finished(folder: str) -> dict | None:
    """The manifest of ``folder`` if all of a dataset is in it."""
    with contextlib.suppress(DatasetError):
        manifest = read_manifest(folder)
        if manifest and manifest.get("complete") and SHARD_RANGE not in manifest:
            return manifest
    return None


def _read(path: str, may_be_gone: bool) -> dict | None:
    """The manifest of a part; None if it is gone and may be. Raises DatasetError."""
    manifest = read_manifest(path)
    if manifest is None and not may_be_gone:
        raise DatasetError(f"{path}: no dataset.json; give folders that dsb-fast generate wrote")
    if manifest is not None and not manifest.get("complete") and not may_be_gone:
        if JOURNAL in left_in(path, TEMPORARY, JOURNAL):
            raise DatasetError(f"{path}: unfinished; run the command that made this part again to finish it")
        raise DatasetError(f"{path}: a recipe without samples; dsb-fast regenerate makes them")
    return manifest


def _check_ranges(parts: list[_Part], shards: int, may_be_gone: bool) -> None:
    """Raises DatasetError unless ``parts``, in order, have each of ``shards`` once."""
    gaps, end, before = [], 0, None
    for part in parts:
        first, next_end = part.shards
        if first < end:
            raise DatasetError(
                f"{part.folder}: shards {first} to {min(end, next_end) - 1} are in {before.folder} too; leave one out"
            )
        if first > end:
            gaps.append((end, first))
        end, before = next_end, part
    if end < shards:
        gaps.append((end, shards))
    if gaps and not may_be_gone:
        said = ", ".join(f"{first} to {last - 1}" for first, last in gaps[:5]) + (" and others" if gaps[5:] else "")
        raise DatasetError(
            f"merge: no part has shards {said}, of 0 to {shards - 1}; "
            f"--shard-range {gaps[0][0]}:{gaps[0][1]} makes {'them' if len(gaps) == 1 else 'the first of them'}"
        )


def _check_same_files(part: _Part, dataset: Dataset) -> None:
    """Raises DatasetError if ``dataset`` has a shard of ``part`` with other bytes: near grades can make such."""
    for record in part.manifest["shards"]:
        there = dataset.records.get(record["first"])
        if there and (there["sha256"], there["bytes"]) != (record["sha256"], record["bytes"]):
            raise DatasetError(
                f"{dataset.folder}: shard {record['name']} is there with other bytes than in {part.folder}; "
                "name another folder, or use --overwrite"
            )


def _place(parts: list[_Part], dataset: Dataset, link: bool, progress) -> int:
    """Publish the shards that ``dataset`` lacks; returns how many were copied."""
    done, copied = dataset.samples_there, 0
    if progress:
        progress(done, dataset.plan.count)
    with HeldInterrupts() as interrupts:
        for part in parts:
            for shard, record in zip(Plan.of(part.manifest), part.manifest["shards"], strict=False):
                if shard.first in dataset.records:
                    continue
                there = stored(shard, record)
                files = PlacedFiles(dataset, there, dataset.format, interrupts.check)
                try:
                    interrupts.check()
                    names = dataset.format.shard_files(there)
                    with fetched(part.folder, names) as here:
                        files.place(here, record, link, part.folder)
                except BaseException:
                    files.discard()
                    raise
                copied += bool(names) and (files.copied or is_url(part.folder) or dataset.url is not None)
                done += shard.count
                if progress:
                    progress(done, dataset.plan.count)
    for shard in dataset.missing():
        raise VerificationError(
            f"{dataset.folder}: shard {shard.name} is damaged, and the part with it is gone; "
            "dsb-fast generate mends it, with the dataset's own options"
        )
    return copied


def _retire(found: list[_Part], parts: list[str], system: System) -> int:
    """Remove the parts; returns how many there were."""
    for part in found:
        retire(part.folder, part.manifest, system)
    for path in parts:
        if os.path.isdir(path) and not os.listdir(path):  # a kill just before its removal leaves an empty one
            system.remove_directory(path)
    return len(found)

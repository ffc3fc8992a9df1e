"""The dataset folder: recipe, journal, manifest. The only module that gives files their final names.

Order of events for a shard: bytes under a temporary name, sync, rename, sync of the folder, line in the journal. At the
end the journal is folded into ``dataset.json``. So whatever the moment of a kill, a shard that the journal names is
whole, and anything else is made again. docs/dataset.md has the format.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator

from .._errors import DatasetError, InputError
from .._synthetic import SYNTHETIC
from .._version import __version__
from .plan import Plan, Shard
from .system import System
from .writers import Format

FORMAT_VERSION = 1
MANIFEST, JOURNAL, TEMPORARY = "dataset.json", "dataset.journal", ".dsb-tmp-"

# Left out when recipes are compared: words, and the version, which graph_sha256, grade and depends_on pin more finely.
_NOT_COMPARED = {"shards", "complete", "engine_version", "synthetic", "title", "licence", "citation"}
_MAX_MANIFEST = 1 << 30


def describe_difference(old: dict, new: dict) -> list[str]:
    """Which entries of two recipes differ, as 'key: old, now new'."""
    keys = sorted((set(old) | set(new)) - _NOT_COMPARED)
    return [
        f"{key} was {_short(old.get(key))}, now {_short(new.get(key))}" for key in keys if old.get(key) != new.get(key)
    ]


def _short(value) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else text[:77] + "..."


def read_manifest(folder: str) -> dict | None:
    """The manifest of ``folder``, None if it has none. Raises DatasetError if it is not one."""
    path = os.path.join(folder, MANIFEST)
    try:
        if os.path.getsize(path) > _MAX_MANIFEST:
            raise DatasetError(f"{path}: too large to be a manifest")
        with open(path, "rb") as file:
            manifest = json.loads(file.read())
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise DatasetError(f"{folder}: not a folder") from None
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise DatasetError(f"{path}: damaged, not JSON; move it away or use --overwrite") from None
    check_manifest(path, manifest)
    return manifest


def check_manifest(path: str, manifest) -> None:
    """Raises DatasetError unless ``manifest`` has the entries and types that reading a dataset relies on."""

    def wrong(what: str):
        return DatasetError(f"{path}: {what}; it is no manifest that this version of dsb_fast wrote")

    if not isinstance(manifest, dict):
        raise wrong("not an object")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise wrong(f"format_version is {_short(manifest.get('format_version'))}, not {FORMAT_VERSION}")
    for key, kind in (
        ("start", int),
        ("count", int),
        ("seed", int),
        ("shard_size", int),
        ("format", str),
        ("model", str),
        ("options", dict),
        ("sample_shape", list),
        ("shards", list),
        ("grade", str),
        ("depends_on", dict),
    ):
        if not isinstance(manifest.get(key), kind) or isinstance(manifest.get(key), bool):
            raise wrong(f"{key} is missing or of another type")
    if min(manifest["start"], manifest["count"], manifest["shard_size"] - 1) < 0:
        raise wrong("start, count or shard_size is out of range")
    plan = Plan(manifest["start"], manifest["count"], manifest["shard_size"])
    for k, record in enumerate(manifest["shards"]):
        if (
            not is_record(record)
            or k >= len(plan)
            or (record["first"], record["count"]) != (plan[k].first, plan[k].count)
        ):
            raise wrong(f"shard {k} is not the one that start, count and shard_size call for")
    if manifest.get("complete") and len(manifest["shards"]) != len(plan):
        raise wrong("shards are missing")


def is_record(record) -> bool:
    """Whether ``record`` describes a shard: name, first, count, bytes, sha256, samples_sha256."""
    kinds = {"name": str, "first": int, "count": int, "bytes": int, "sha256": str, "samples_sha256": str}
    return isinstance(record, dict) and all(type(record.get(key)) is kind for key, kind in kinds.items())


def _digest(recipe: dict) -> str:
    kept = {key: value for key, value in recipe.items() if key not in _NOT_COMPARED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


class ShardFiles:
    """The files of one shard on their way: written under temporary names, published together."""

    def __init__(self, dataset: Dataset, shard: Shard, format_: Format):
        self.dataset, self.shard = dataset, shard
        self._names = iter(format_.file_names(shard))
        self._final: list[str] = []
        self._fd: int | None = None
        self._one_file = not format_.file_per_sample
        self._digest, self._samples, self._bytes = hashlib.sha256(), hashlib.sha256(), 0

    def _temporary(self, name: str) -> str:
        return os.path.join(self.dataset.folder, TEMPORARY + name)

    def next_file(self) -> None:
        """Begin the next file of the shard; the one before it is closed."""
        self._close()
        name = next(self._names)
        self._fd = self.dataset.system.create(self._temporary(name))
        self._final.append(name)

    def write(self, data) -> None:
        """Bytes of the current file."""
        self.dataset.system.write(self._fd, data)
        self._digest.update(data)
        self._bytes += memoryview(data).nbytes

    def add_samples(self, samples) -> None:
        """Decoded samples, for the digest that does not depend on an encoder."""
        self._samples.update(samples)

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self.dataset.system.close(fd)

    def publish(self) -> dict:
        """Sync, rename, sync the folder, note in the journal; the shard's record."""
        system, folder = self.dataset.system, self.dataset.folder
        if self._final:
            if self._one_file:
                system.sync_file(self._fd)
            else:
                system.sync_filesystem(self.dataset.folder_fd)
            self._close()
            for name in self._final:
                system.rename(self._temporary(name), os.path.join(folder, name))
            system.sync_directory(folder)
        record = {
            "name": self.shard.name if not self._one_file or not self._final else self._final[0],
            "first": self.shard.first,
            "count": self.shard.count,
            "bytes": self._bytes,
            "sha256": self._digest.hexdigest(),
            "samples_sha256": self._samples.hexdigest(),
        }
        self.dataset.note(record)
        return record

    def discard(self) -> None:
        """Remove what has not been published; never raises OSError, and what it can't remove the next run will."""
        with contextlib.suppress(OSError):
            self._close()
        for name in self._final:
            with contextlib.suppress(OSError):
                self.dataset.system.unlink(self._temporary(name))


class Dataset:
    """A folder that one process works on. Opening it locks it, checks what is there and clears what a kill left."""

    def __init__(
        self, folder: str, recipe: dict, format_: Format, overwrite: bool = False, system: System | None = None
    ):
        self.folder, self.recipe, self.format = folder, recipe, format_
        self.system = system or System()
        self.records: dict[int, dict] = {}  # by first sample
        self.complete = False
        self._journal: int | None = None
        self.folder_fd = -1
        self._make_folder()
        try:
            self._lock()
            self._adopt(overwrite)
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

    def _lock(self) -> None:
        try:
            fcntl.flock(self.folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise DatasetError(
                    f"{self.folder}: another process is working on it; wait for it, or name another folder"
                ) from None
            # A file system without locks: the user has to take care.

    def _adopt(self, overwrite: bool) -> None:
        """Decide from what is in the folder: begin, go on, or refuse."""
        try:
            manifest = read_manifest(self.folder)
        except DatasetError:
            if not overwrite:
                raise
            manifest = None
        if not overwrite:
            self._refuse_foreign(manifest)
        elif manifest:
            self._remove_data(manifest)
            manifest = None
        self._remove_temporaries()
        if manifest is None:
            self._begin()
        elif manifest["complete"]:
            self._recheck(manifest)
        else:
            self._resume()

    def _refuse_foreign(self, manifest: dict | None) -> None:
        if manifest is None:
            others = sorted(name for name in os.listdir(self.folder) if not name.startswith(TEMPORARY))
            if others:
                raise DatasetError(
                    f"{self.folder}: not empty (it has {others[0]!r}) and no dataset of dsb_fast; "
                    "name another folder, or use --overwrite"
                )
        elif differences := describe_difference(manifest, self.recipe):
            raise DatasetError(
                f"{self.folder}: holds a dataset of another recipe ({'; '.join(differences)}); "
                "name another folder, or use --overwrite"
            )

    def _remove_data(self, manifest: dict) -> None:
        """--overwrite: the old dataset's own files go, the manifest last; foreign files stay."""
        from .writers import FormatContext, find

        with contextlib.suppress(InputError, TypeError, ValueError):  # of another version: its files are foreign
            old = find(manifest["format"])(FormatContext.of(manifest))
            for shard in Plan(manifest["start"], manifest["count"], manifest["shard_size"]):
                for name in old.file_names(shard):
                    self._unlink(name)
        self._unlink(JOURNAL)
        self._unlink(MANIFEST)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.system.unlink(os.path.join(self.folder, name))

    def _remove_temporaries(self) -> None:
        for name in os.listdir(self.folder):
            if name.startswith(TEMPORARY):
                self._unlink(name)

    def _publish_file(self, name: str, data: bytes) -> None:
        temporary = os.path.join(self.folder, TEMPORARY + name)
        fd = self.system.create(temporary)
        try:
            self.system.write(fd, data)
            self.system.sync_file(fd)
        finally:
            self.system.close(fd)
        self.system.rename(temporary, os.path.join(self.folder, name))
        self.system.sync_directory(self.folder)

    def _publish_manifest(self, complete: bool) -> None:
        records = [self.records[first] for first in sorted(self.records)] if complete else []
        manifest = {
            **self.recipe,
            "synthetic": SYNTHETIC,
            "engine_version": __version__,
            "complete": complete,
            "shards": records,
        }
        self._publish_file(MANIFEST, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())

    def _begin(self) -> None:
        self._unlink(JOURNAL)  # of a manifest that could not be read
        self._publish_manifest(False)
        self._open_journal()

    def _open_journal(self) -> None:
        """Write the journal anew with what is known to be whole, then go on appending to it."""
        lines = [
            json.dumps({"recipe": _digest(self.recipe)}),
            *(json.dumps(r) for _, r in sorted(self.records.items())),
        ]
        self._publish_file(JOURNAL, "".join(line + "\n" for line in lines).encode())
        self._journal = self.system.append(os.path.join(self.folder, JOURNAL))

    def _journalled(self) -> Iterator[dict]:
        """The records of the journal; a torn last line ends it."""
        try:
            with open(os.path.join(self.folder, JOURNAL), "rb") as file:
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return
        for k, line in enumerate(lines):
            try:
                entry = json.loads(line)
            except ValueError:
                return
            if k == 0:
                if entry != {"recipe": _digest(self.recipe)}:
                    return
            elif is_record(entry):
                yield entry

    def _keep_whole(self, records) -> None:
        """Of ``records`` those whose files have the recorded bytes."""
        plan = self.plan
        for record in records:
            k = (record["first"] - plan.start) // plan.shard_size
            if not 0 <= k < len(plan) or (plan[k].first, plan[k].count) != (record["first"], record["count"]):
                continue
            if self.file_digest(plan[k]) == (record["sha256"], record["bytes"]):
                self.records[record["first"]] = record

    def _resume(self) -> None:
        self._keep_whole(self._journalled())
        self._open_journal()

    def _recheck(self, manifest: dict) -> None:
        """A finished dataset: nothing is written unless a shard is not what the manifest says."""
        self._keep_whole(manifest["shards"])
        if len(self.records) == len(manifest["shards"]):
            self.complete = True
            self._unlink(JOURNAL)  # a kill between the manifest and the journal's removal leaves one
            return
        self._open_journal()
        self._publish_manifest(False)

    @property
    def plan(self) -> Plan:
        """The shards that the recipe calls for."""
        return Plan(self.recipe["start"], self.recipe["count"], self.recipe["shard_size"])

    def missing(self) -> list[Shard]:
        """Shards that are not there yet, in order."""
        return [shard for shard in self.plan if shard.first not in self.records]

    def file_digest(self, shard: Shard) -> tuple[str, int] | None:
        """SHA-256 and size of a shard's files, one after the other; None if one is missing."""
        return digest_of_files(self.folder, self.format.file_names(shard))

    def begin_shard(self, shard: Shard) -> ShardFiles:
        """A shard that is about to be written."""
        return ShardFiles(self, shard, self.format)

    def note(self, record: dict) -> None:
        """Put a published shard into the journal."""
        self.system.write(self._journal, (json.dumps(record) + "\n").encode())
        self.system.sync_file(self._journal)
        self.records[record["first"]] = record

    def finish(self) -> None:
        """Fold the journal into the manifest."""
        self._publish_manifest(True)
        self.complete = True
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
                with contextlib.suppress(OSError):
                    self._remove_temporaries()
        finally:
            self.close()


def digest_of_files(folder: str, names: list[str]) -> tuple[str, int] | None:
    """SHA-256 and size of files one after the other; None if one is missing."""
    digest, size = hashlib.sha256(), 0
    for name in names:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    size += len(block)
        except (FileNotFoundError, IsADirectoryError):
            return None
    return digest.hexdigest(), size

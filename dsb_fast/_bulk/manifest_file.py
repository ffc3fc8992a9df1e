"""``dataset.json``: reading it, checking it, and what tells two recipes apart."""

from __future__ import annotations

import hashlib
import json
import os

from .. import _json_text
from .._errors import DatasetError
from .._files import open_plain
from .._synthetic import SYNTHETIC
from .._version import __version__
from .kept import YIELD, is_filter, is_whole_record, yield_of
from .places import fetched, is_url
from .plan import SHARD_RANGE, Plan

FORMAT_VERSION = 2
MANIFEST = "dataset.json"
JOURNAL = "dataset.journal"

# Left out when recipes are compared: words, and the version, which graph_sha256, grade and depends_on pin more finely.
_NOT_COMPARED = {"shards", "complete", "engine_version", "synthetic", "title", "licence", "citation", YIELD}
MAX_MANIFEST = 1 << 30  # bytes
MAX_SHARDS = 3_000_000  # whose records, 300 bytes each, are less than that
_ENTRIES = {
    "start": int,
    "count": int,
    "seed": int,
    "shard_size": int,
    "format": str,
    "model": str,
    "options": dict,
    "sample_shape": list,
    "shards": list,
    "grade": str,
    "depends_on": dict,
}
_RECORD = {"name": str, "first": int, "count": int, "bytes": int, "sha256": str, "samples_sha256": str}


def differing(old: dict, new: dict) -> list[str]:
    """The names of the entries in which two recipes differ."""
    keys = sorted((set(old) | set(new)) - _NOT_COMPARED)
    return [key for key in keys if old.get(key) != new.get(key)]


def describe_difference(old: dict, new: dict) -> list[str]:
    """Which entries of two recipes differ, as 'key was old, now new'."""
    return [f"{key} was {_short(old.get(key))}, now {_short(new.get(key))}" for key in differing(old, new)]


def _short(value) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else text[:77] + "..."


def refuse_other(where: str, manifest: dict, recipe: dict, extend: bool) -> None:
    """Raises DatasetError unless ``manifest`` is of ``recipe``, or, with ``extend``, of one with fewer samples."""
    longer = differing(manifest, recipe) == ["count"] and manifest["count"] < recipe["count"]
    differences = describe_difference(manifest, recipe)
    if differences and not (longer and extend):
        raise DatasetError(
            f"{where}: holds a dataset of another recipe ({'; '.join(differences)}); "
            f"name another folder, or use {'--extend or ' if longer else ''}--overwrite"
        )


def make_manifest(recipe: dict, records: list[dict], complete: bool) -> dict:
    """The manifest of a dataset whose shards have ``records``, or of one that is not complete."""
    return {
        **recipe,
        **(yield_of(recipe, records) if complete else {}),
        "synthetic": SYNTHETIC,
        "engine_version": __version__,
        "complete": complete,
        "shards": records if complete else [],
    }


def manifest_bytes(manifest: dict) -> bytes:
    """``dataset.json``."""
    return (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()


def read_manifest(folder: str) -> dict | None:
    """The manifest of ``folder``, None if it has none. Raises DatasetError if it is not one."""
    try:
        return read_manifest_file(os.path.join(folder, MANIFEST))
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise DatasetError(f"{folder}: not a folder; give the one that dsb-fast generate wrote") from None


def read_manifest_file(path: str) -> dict:
    """The manifest that ``path`` is. Raises FileNotFoundError, NotADirectoryError, or DatasetError if it is not one."""
    try:
        folder, _, name = path.rpartition("/") if is_url(path) else ("", "", path)
        with fetched(folder, [name], MAX_MANIFEST) as here:
            file_here = os.path.join(here, name)
            with open_plain(file_here) as file:
                if os.fstat(file.fileno()).st_size > MAX_MANIFEST:
                    raise DatasetError(f"{path}: too large to be a manifest")
                data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    return parse_manifest(path, data)


def parse_manifest(path: str, data: bytes) -> dict:
    """The manifest that ``data``, the bytes of ``path``, is. Raises DatasetError."""
    try:
        manifest = _json_text.parse(data)
    except ValueError:
        raise DatasetError(f"{path}: damaged, not JSON; generate --overwrite makes the dataset again") from None
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
    for key, kind in _ENTRIES.items():
        if not isinstance(manifest.get(key), kind) or isinstance(manifest.get(key), bool):
            raise wrong(f"{key} is missing or of another type")
    if type(manifest.get("complete")) is not bool:
        raise wrong("complete is missing or of another type")
    if min(manifest["start"], manifest["count"], manifest["shard_size"] - 1) < 0:
        raise wrong("start, count or shard_size is out of range")
    if SHARD_RANGE in manifest and not _is_part(manifest[SHARD_RANGE], Plan.whole(manifest).shards):
        raise wrong(f"{SHARD_RANGE} is {_short(manifest[SHARD_RANGE])}, of {Plan.whole(manifest).shards} shards")
    if not is_filter(manifest):
        raise wrong("keep, annotate or measurements is of another type")
    plan = Plan.of(manifest)
    for k, record in enumerate(manifest["shards"]):
        if (
            not is_record(record)
            or k >= plan.shards
            or (record["first"], record["count"]) != (plan[k].first, plan[k].count)
            or not is_whole_record(record, manifest, plan[k])
        ):
            raise wrong(f"shard {k} is not the one that start, count and shard_size call for")
    if manifest.get("complete") and len(manifest["shards"]) != plan.shards:
        raise wrong("shards are missing")


def _is_part(found, shards: int) -> bool:
    """Whether ``found`` is a range [first, end] of some of ``shards``, not of all."""
    if not isinstance(found, list) or len(found) != 2 or any(type(number) is not int for number in found):
        return False
    return 0 <= found[0] < found[1] <= shards and found != [0, shards]


def is_record(record) -> bool:
    """Whether ``record`` describes a shard: name, first, count, bytes, sha256, samples_sha256."""
    return isinstance(record, dict) and all(type(record.get(key)) is kind for key, kind in _RECORD.items())


def recipe_digest(recipe: dict) -> str:
    """SHA-256 of what is compared of a recipe."""
    kept = {key: value for key, value in recipe.items() if key not in _NOT_COMPARED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

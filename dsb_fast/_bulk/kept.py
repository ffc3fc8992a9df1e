"""What a manifest says of a filtered dataset: which samples of a shard were rejected, and how many were kept in all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .._errors import InputError
from .._filter.selection import ANNOTATE, KEEP, MEASUREMENTS
from .plan import Plan, Shard, runs

KEPT, REJECTED, YIELD = "kept", "rejected", "yield"  # entries of a shard's record, and of the manifest
MAX_SAMPLES = 200_000_000  # whose rejected numbers, 5 bytes each at worst, a manifest can hold
_LARGEST_SHARD = 1 << 30  # bytes of samples, where a shard is held in memory
_MOST_IN_SHARD = 1_000_000
_NAME = re.compile("[a-z][a-z0-9_]{0,63}")
_RANGE = re.compile("([0-9]{1,7})(?:-([0-9]{1,7}))?")


def check_filtered(recipe: dict, format_) -> None:
    """Raises InputError if a dataset can't be filtered or labelled as ``recipe`` says in this format."""
    if KEEP in recipe and (not format_.sparse or format_.group > 1):
        how = " with a grid" if format_.group > 1 else ""
        raise InputError(f"keep: format {format_.name}{how} can't leave samples out; npy, parquet and others can")
    size = 1
    for length in recipe["sample_shape"]:
        size *= length
    most = max(1, _LARGEST_SHARD // (size * (2 if recipe["sample_dtype"] == "int16" else 1)))
    if is_held(recipe, format_) and recipe["shard_size"] > most:
        raise InputError(
            f"shard_size: {recipe['shard_size']}; with {KEEP if KEEP in recipe else ANNOTATE} a shard is held in "
            f"memory, and {most} of these samples are 1 GiB; ask for a smaller --shard-size"
        )
    if KEEP in recipe and recipe["count"] > MAX_SAMPLES:
        raise InputError(f"keep: {recipe['count']} samples; a dataset that is filtered has at most {MAX_SAMPLES}")


def is_held(recipe: dict, format_) -> bool:
    """Whether all samples of a shard must be there before the first is written: how many are kept, or their labels."""
    return KEEP in recipe or (ANNOTATE in recipe and format_.holds_labels)


def about_kept(shard: Shard) -> dict:
    """What a record says of what was kept of a shard; {} where nothing is filtered.

    Rejected are offsets from the shard's first number, as in "3,7-9".
    """
    if shard.kept is None:
        return {}
    there = set(shard.kept)
    rejected = [k for k in range(shard.tried) if shard.first + k not in there]
    parts = (f"{first}" if length == 1 else f"{first}-{first + length - 1}" for _, first, length in runs(rejected))
    return {KEPT: shard.count, REJECTED: ",".join(parts)}


def kept_offsets(text: str, count: int) -> list[range]:
    """The offsets that :func:`about_kept` did not write of a shard of ``count``. Raises ValueError for other text."""
    kept, begin = [], 0
    for part in text.split(",") if text else ():
        found = _RANGE.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (count, count)
        if not begin <= first <= last < count:
            raise ValueError(f"rejected offsets {part[:20]!r} of {count}")
        kept.append(range(begin, first))
        begin = last + 1
    return [*kept, range(begin, count)]


def stored(shard: Shard, record: dict) -> Shard:
    """A shard of the plan as it is stored, by its ``record``, which has been checked."""
    if REJECTED not in record:
        return shard
    ranges = kept_offsets(record[REJECTED], shard.count)
    return shard.keeping(tuple(shard.first + offset for some in ranges for offset in some))


def is_whole_record(record: dict, recipe: dict, shard: Shard) -> bool:
    """Whether ``record`` says of what was kept what a dataset of ``recipe`` needs, and nothing otherwise."""
    if KEEP not in recipe:
        return KEPT not in record and REJECTED not in record
    if type(record.get(KEPT)) is not int or type(record.get(REJECTED)) is not str:
        return False
    try:
        return record[KEPT] == sum(map(len, kept_offsets(record[REJECTED], shard.count)))
    except ValueError:
        return False


def is_filter(recipe: dict) -> bool:
    """Whether what ``recipe`` says of a filter has the types that it must have."""
    keep, names, versions = recipe.get(KEEP, ""), recipe.get(ANNOTATE, []), recipe.get(MEASUREMENTS, {})
    return (
        isinstance(keep, (str, dict))
        and (KEEP not in recipe or recipe["shard_size"] <= _MOST_IN_SHARD)
        and isinstance(names, list)
        and all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)  # which names files, in zarr
        and isinstance(versions, dict)
        and all(type(version) is int for version in versions.values())
    )


def stored_of(plan: Plan, recipe: dict, record: dict) -> Shard | None:
    """The shard of ``plan`` that ``record`` is of, as it is stored; None if it is of none or contradicts itself."""
    shard = plan.shard_of(record)
    return stored(shard, record) if shard and is_whole_record(record, recipe, shard) else None


def yield_of(recipe: dict, records: Iterable[dict]) -> dict:
    """The manifest's entry of how many were tried and kept; {} where nothing is filtered."""
    if KEEP not in recipe:
        return {}
    return {YIELD: {"tried": Plan.of(recipe).count, KEPT: sum(record[KEPT] for record in records)}}


def yield_in_words(manifest: dict) -> str:
    """As in "kept 812 of 1000 (81.2 %)"; '' where nothing is filtered."""
    if KEEP not in manifest:
        return ""
    found = yield_of(manifest, manifest["shards"])[YIELD]
    return f"kept {found[KEPT]} of {found['tried']} ({100 * found[KEPT] / max(found['tried'], 1):.1f} %)"


@dataclass(frozen=True)
class KeptPlan(Plan):
    """A plan whose shards' ``records`` say what is kept."""

    records: tuple[dict, ...] = ()

    def numbers(self) -> Iterator[Sequence[int]]:
        return (stored(shard, record).numbers for shard, record in zip(self, self.records, strict=False))


def plan_of(recipe: dict, records: Iterable[dict]) -> Plan:
    """The shards that a recipe calls for, which know what is kept if some are rejected."""
    plan = Plan.of(recipe)
    if KEEP not in recipe:
        return plan
    return KeptPlan(plan.start, plan.count, plan.shard_size, tuple(records))

"""Is a dataset what its manifest says: checksums, decoded samples, and samples made anew."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from random import SystemRandom

import numpy as np

from .._errors import DatasetError, VerificationError
from .._filter.selection import ANNOTATE, KEEP, Selection
from . import writers
from .kept import KEPT, YIELD, stored, yield_in_words, yield_of
from .manifest import digest_of_files, index_is_whole
from .manifest_file import JOURNAL, read_manifest
from .part import part_in_words
from .places import fetched, left_in, resolve
from .plan import SHARD_RANGE, Plan, Shard
from .read import file_of, index_files, open_files, open_format, stored_sample
from .recipe import load_again, same_footing
from .shard_files import TEMPORARY, samples_digest


def verify_dataset(
    folder: str, sample: int = 0, checkpoint: str | None = None, progress: Callable[[int, int], None] | None = None
) -> dict:
    """Check a dataset; returns counts, and which part it is if it is one.

    ``sample``: that many random samples are made again on this machine and compared by the dataset's grade;
    ``checkpoint`` names the weights if they are not the published ones. Raises VerificationError that names every
    shard that is wrong.
    """
    folder = resolve(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise DatasetError(f"{folder}: no dataset.json; give the folder that dsb-fast generate wrote")
    if not manifest.get("complete"):
        if JOURNAL not in left_in(folder, TEMPORARY, JOURNAL):
            raise VerificationError(f"{folder}: a recipe without samples; dsb-fast regenerate makes them")
        raise VerificationError(f"{folder}: unfinished; run the same generate command again to finish it")
    format_ = open_format(folder, manifest)
    plan = Plan.of(manifest)
    wrong: list[str] = []
    for k, record in enumerate(manifest["shards"]):
        shard = stored(plan[k], record)
        with fetched(folder, format_.shard_files(shard)) as here:
            problem = _check_shard(here, format_, shard, record)
        if problem:
            wrong.append(f"shard {record['name']} {problem}")
        if progress:
            progress(record["first"] + record["count"] - plan.start, plan.count)
    names = [name for name, _ in index_files(format_, manifest)]
    with fetched(folder, names) as here:
        if not index_is_whole(here, format_, manifest, manifest["shards"]):
            wrong.append(f"the index {', '.join(names)} is not that of the dataset")
    if manifest.get(YIELD) != yield_of(manifest, manifest["shards"]).get(YIELD):
        wrong.append(f"the {YIELD} in dataset.json is not what its shards add up to")
    left = left_in(folder, TEMPORARY, JOURNAL)
    if left:
        wrong.append(f"unfinished work is left over: {left[0]}")
    if wrong:
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise VerificationError(
            f"{folder}: {'; '.join(wrong[:5])}{more}; the same generate command makes again what is not whole"
        )
    if sample:
        _check_samples(folder, manifest, format_, plan, sample, checkpoint)
    return {
        "shards": len(plan),
        "samples": manifest[YIELD][KEPT] if YIELD in manifest else plan.count,
        "made_again": min(sample, plan.count),
        **({"kept": yield_in_words(manifest)} if YIELD in manifest else {}),
        **({"part": part_in_words(manifest)} if SHARD_RANGE in manifest else {}),
    }


def _check_shard(folder: str, format_: writers.Format, shard: Shard, record: dict) -> str:
    names = format_.file_names(shard)
    found = digest_of_files(folder, format_.shard_files(shard))
    if found is None:
        return "has missing files"
    if found != (record["sha256"], record["bytes"]):
        return "does not have the recorded bytes"
    if not names:
        return ""
    digest = samples_digest(format_, shard)
    try:
        for decoded in format_.decode(open_files(folder, names), shard):
            digest.update(np.ascontiguousarray(decoded))
    except ValueError as error:
        return f"can't be decoded ({error})"
    if format_.tolerance is not None:  # samples_sha256 is of what was encoded, which can't be had back
        return ""
    return "" if digest.hexdigest() == record["samples_sha256"] else "does not hold the recorded samples"


def _check_samples(folder: str, manifest: dict, format_: writers.Format, plan: Plan, count: int, checkpoint) -> None:
    """Make samples again. The same grade on the same footing means the same bits, else near."""
    if not format_.suffixes:
        raise VerificationError(f"{folder}: format {format_.name} kept no samples to compare; leave out --sample")
    generator = load_again(manifest, folder, checkpoint=checkpoint)
    options = generator.model.options(**manifest["options"])
    same = same_footing(generator, manifest)
    for offset in SystemRandom().sample(range(plan.count), min(count, plan.count)):
        k, number = offset // plan.shard_size, plan.start + offset
        shard = stored(plan[k], manifest["shards"][k])
        made = generator.make(manifest["seed"], number, 1, options)
        if same and shard.kept is not None:
            _check_selection(folder, manifest, number in shard.kept, number, made)
        if shard.kept is not None and number not in shard.kept:
            continue
        if format_.tolerance is None:
            near = None if same else generator.model.near(generator.precision)
            there = stored_sample(folder, format_, shard, number)
            equal = _equal(there, made[0], near)
        else:
            there = made[0] if same else None  # what was measured is not to be had back
            part, position = file_of(format_, shard, number)
            made = np.concatenate(list(generator.batches(manifest["seed"], part.first, part.count, options)))
            equal = _lossy_equal(folder, format_, part, made, position, same and manifest.get("encoder"))
        if not equal:
            grade = manifest["grade"] if same else "near"
            raise VerificationError(f"{folder}: sample {number} made again differs (compared as {grade})")
        if there is not None and ANNOTATE in manifest:
            _check_labels(folder, manifest, format_, shard, number, there)


def _check_selection(folder: str, manifest: dict, was_kept: bool, number: int, made: np.ndarray) -> None:
    """Raises VerificationError if a sample, made again, would not be kept as it was; a function can't be asked."""
    if isinstance(manifest[KEEP], dict):
        return
    if bool(Selection.of(manifest).of_batch(made)[0][0]) != was_kept:
        what = "was kept, but fails the condition" if was_kept else "was rejected, but passes the condition"
        raise VerificationError(f"{folder}: sample {number} {what} when it is made again")


def _check_labels(
    folder: str, manifest: dict, format_: writers.Format, shard: Shard, number: int, sample: np.ndarray
) -> None:
    """Raises VerificationError if ``sample``, as it is stored, measures otherwise than its labels say."""
    selection = Selection.of({name: entry for name, entry in manifest.items() if name != KEEP})
    measured = selection.of_batch(sample[None])[1]
    names = format_.label_files(shard) or format_.file_names(shard)
    try:
        with fetched(folder, names) as here:
            labels = format_.decode_labels(open_files(here, names), shard)
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise VerificationError(f"{folder}: the labels of shard {shard.name} can't be read ({error})") from None
    position = shard.numbers.index(number)
    for name, values in labels.items():
        if not np.array_equal(values[position : position + 1], measured[name], equal_nan=True):
            raise VerificationError(
                f"{folder}: sample {number} has the label {name} {values[position]}, measured it is {measured[name][0]}"
            )


def _equal(stored: np.ndarray, made: np.ndarray, near) -> bool:
    """``near`` None: to the last bit."""
    return np.array_equal(stored, made) if near is None else near.refusal(stored, made) is None


def _lossy_equal(folder: str, format_: writers.Format, part: Shard, made: np.ndarray, position: int, encoder) -> bool:
    """The file of ``part`` against one made of ``made``: byte for byte if ``encoder`` is ours, else what they show."""
    names = format_.file_names(part)
    with fetched(folder, names) as here:
        stored = [file.read() for file in open_files(here, names)]
    anew = format_.encode(made, part.first)
    if encoder == format_.encoder:
        return stored == anew
    shown = [list(format_.decode(map(BytesIO, files), part))[position].astype(np.int32) for files in (stored, anew)]
    return float(np.abs(shown[0] - shown[1]).mean()) <= format_.tolerance

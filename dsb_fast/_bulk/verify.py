"""Is a dataset what its manifest says: checksums, decoded samples, and samples made anew."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

import numpy as np

from .._errors import DatasetError, InputError, VerificationError
from . import writers
from .manifest import JOURNAL, TEMPORARY, digest_of_files, read_manifest
from .plan import Plan, Shard

# What two fp32 backends may differ by; the model cards of near backends promise no less.
NEAR_SHARE, NEAR_STEP = 0.005, 1


def open_format(path: str, manifest: dict) -> writers.Format:
    """The format of a finished dataset, ready to decode."""
    try:
        kind = writers.find(manifest["format"])
    except InputError as error:
        raise DatasetError(f"{path}: {error}") from None
    context = writers.FormatContext(
        tuple(manifest["sample_shape"]),
        str(manifest.get("sample_dtype", "int16")),
        tuple(map(str, manifest.get("lead_names", ()))),
        float(manifest.get("sampling_rate_hz", 500.0)),
        dict(manifest.get("format_options") or {}),
    )
    return kind(context)


def _read(folder: str, names: list[str]) -> list[bytes]:
    return [Path(folder, name).read_bytes() for name in names]


def verify_dataset(
    folder: str, sample: int = 0, checkpoint: str | None = None, progress: Callable[[int, int], None] | None = None
) -> dict:
    """Check a dataset; returns counts. Raises VerificationError that names every shard that is wrong.

    ``sample``: that many random samples are made again on this machine and compared by the dataset's grade;
    ``checkpoint`` names the weights if they are not the published ones.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise DatasetError(f"{folder}: no dataset.json; give the folder that dsb-fast generate wrote")
    if not manifest.get("complete"):
        raise VerificationError(f"{folder}: unfinished; run the same generate command again to finish it")
    format_ = open_format(folder, manifest)
    plan = Plan(manifest["start"], manifest["count"], manifest["shard_size"])
    wrong: list[str] = []
    for k, record in enumerate(manifest["shards"]):
        problem = _check_shard(folder, format_, plan[k], record)
        if problem:
            wrong.append(f"shard {record['name']} {problem}")
        if progress:
            progress(record["first"] + record["count"] - manifest["start"], manifest["count"])
    left = sorted(n for n in os.listdir(folder) if n.startswith(TEMPORARY) or n == JOURNAL)
    if left:
        wrong.append(f"unfinished work is left over: {left[0]}")
    if wrong:
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise VerificationError(f"{folder}: {'; '.join(wrong[:5])}{more}")
    if sample:
        _check_samples(folder, manifest, format_, plan, sample, checkpoint)
    return {
        "shards": len(manifest["shards"]),
        "samples": manifest["count"],
        "made_again": min(sample, manifest["count"]),
    }


def _check_shard(folder: str, format_: writers.Format, shard: Shard, record: dict) -> str:
    names = format_.file_names(shard)
    found = digest_of_files(folder, names)
    if found is None:
        return "has missing files"
    if found != (record["sha256"], record["bytes"]):
        return "does not have the recorded bytes"
    if not names:
        return ""
    digest = hashlib.sha256()
    try:
        for decoded in format_.decode(_read(folder, names), shard):
            digest.update(np.ascontiguousarray(decoded))
    except ValueError as error:
        return f"can't be decoded ({error})"
    return "" if digest.hexdigest() == record["samples_sha256"] else "does not hold the recorded samples"


def _check_samples(folder: str, manifest: dict, format_: writers.Format, plan: Plan, count: int, checkpoint) -> None:
    """Make samples again. The same grade on the same footing means the same bits, else near."""
    from .._api import load

    card = {
        "length": manifest["sample_shape"][-1],
        "scale": manifest.get("scale"),
        "unit": manifest.get("scale_unit"),
        "sampling_rate_hz": manifest.get("sampling_rate_hz"),
    }
    generator = load(manifest["model"], _device(manifest), "fp32", checkpoint, card=card)
    if generator.info["weights_sha256"] != manifest["weights_sha256"]:
        raise VerificationError(
            f"{folder}: made with other weights ({manifest['weights_sha256'][:16]}...); --checkpoint names them"
        )
    options = generator.model.options(**manifest["options"])
    same = (
        manifest["grade"] != "near"
        and dict(generator.backend.depends_on) == manifest["depends_on"]
        and generator.graph_sha256 == manifest["graph_sha256"]
    )
    total = manifest["count"]
    picks = SystemRandom().sample(range(total), min(count, total))
    if not format_.suffix:
        raise VerificationError(f"{folder}: format {format_.name} kept no samples to compare; leave out --sample")
    for offset in picks:
        shard = plan[offset // plan.shard_size]
        stored = _stored(folder, format_, shard, offset % plan.shard_size)
        made = generator.make(manifest["seed"], manifest["start"] + offset, 1, options)[0]
        difference = np.abs(stored.astype(np.int32) - made.astype(np.int32))
        if same:
            bad = bool(difference.any())
        else:
            bad = float((difference > 0).mean()) > NEAR_SHARE or int(difference.max(initial=0)) > NEAR_STEP
        if bad:
            grade = manifest["grade"] if same else "near"
            raise VerificationError(
                f"{folder}: sample {manifest['start'] + offset} made again differs (compared as {grade})"
            )


def _stored(folder: str, format_: writers.Format, shard: Shard, position: int) -> np.ndarray:
    if format_.file_per_sample:
        one = Shard(shard.first + position, 1)
        return next(iter(format_.decode(_read(folder, format_.file_names(one)), one)))
    return next(
        s for k, s in enumerate(format_.decode(_read(folder, format_.file_names(shard)), shard)) if k == position
    )


def _device(manifest: dict) -> str:
    return {"openvino": "openvino", "onnxruntime-cuda": "cuda"}.get(str(manifest.get("backend")), "cpu")

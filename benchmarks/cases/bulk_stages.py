"""The stages of a bulk run, each alone and all together, and the share of the machine that is not the network's."""

from __future__ import annotations

import atexit
import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gi_model import Workspace
from harness import Alternative, Comparison, Missing, WrongAnswer

import dsb_fast
from dsb_fast._backends.base import cores
from dsb_fast._bulk import run
from dsb_fast._bulk.dummies import DummyFolder, encoded_once, repeated
from dsb_fast._bulk.pipeline import Pipeline
from dsb_fast._bulk.plan import DEFAULT_SHARD_SIZE, Plan
from dsb_fast._bulk.stats import Stats

SUMMARY = (
    "generator, encoder and disk, each alone, against all of them: --format asc, npy and others, PNG of the GI model"
)
COUNT = "samples of a run (ECGs 2000, images 256)"
_ECG_FORMATS = ("asc", "npy", "wfdb", "parquet", "hdf5", "webdataset", "zarr", "edf", "dicom")
_IMAGE_FORMATS = ("png", "stylegan-zip")
_BESIDE = ("encode", "digest", "write", "publish")  # stages that are not the network


class _Repeating:
    """A generator that makes nothing new."""

    def __init__(self, generator, samples):
        self.backend, self.batch_size = generator.backend, len(samples)
        self._samples = repeated(samples)

    def make(self, seed, first, count, options):
        return self._samples(first, count)

    @staticmethod
    def share(count, threads):
        """As a generator's."""
        return max(1, -(-count // threads))


@dataclass
class _Bulk:
    """One format's runs."""

    generator: object
    format: str
    count: int
    base: str

    def __post_init__(self):
        self.runs = 0
        self.shares: list[dict[str, float]] = []
        _, self.options, _ = self.recipe(self.format)
        self.few = self.generator.make(0, 0, self.generator.batch_size, self.options)

    def recipe(self, format: str):
        return run.make_recipe(self.generator, self.count, format=format)

    def _alone(self, make, format_) -> None:
        threads = self.generator.backend.parallel
        plan = Plan(0, self.count, DEFAULT_SHARD_SIZE)
        Pipeline(make, format_, DummyFolder(), len(self.few), threads, lambda _: None, Stats()).run(plan)

    def network(self) -> None:
        """No encoder, no disk; the samples are digested."""
        self._alone(partial(self.generator.make, 0, options=self.options), self.recipe("dummy")[2])

    def encoder(self) -> None:
        """The same few samples again and again, encoded and digested, to no disk."""
        self._alone(repeated(self.few), self.recipe(self.format)[2])

    def disk(self) -> None:
        """The same few encoded samples again and again, digested and written."""
        recipe, options, format_ = self.recipe(self.format)
        stand_in = _Repeating(self.generator, self.few)
        run.generate_dataset(stand_in, self._folder(), recipe, options, encoded_once(format_, self.few))

    def everything(self) -> None:
        """What dsb-fast generate does once the model is open."""
        stats = Stats()
        recipe, options, format_ = self.recipe(self.format)
        run.generate_dataset(self.generator, self._folder(), recipe, options, format_, stats=stats)
        self.shares.append(stats.machine(cores()))

    def _folder(self) -> str:
        self.runs += 1
        return str(Path(self.base, f"{self.format}-{self.runs}"))

    def check(self) -> str:
        """A whole run's samples are those of a run without a format. Raises WrongAnswer."""
        digests = []
        for name in (self.format, "dummy"):
            recipe, options, format_ = run.make_recipe(self.generator, 70, format=name, shard_size=32)
            folder = Path(self.base, f"check-{self.format}-{name}")
            run.generate_dataset(self.generator, str(folder), recipe, options, format_)
            shards = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["shards"]
            digests.append([shard["samples_sha256"] for shard in shards])
        if digests[0] != digests[1]:
            raise WrongAnswer(f"format {self.format} holds other samples")
        return "the samples' digests are those of --format dummy"


class _Shares(Comparison):
    """A comparison that says, once it has been timed, what the stages beside the network took of the machine."""

    bulk: _Bulk

    @property
    def note(self) -> str:
        """Medians over the rounds."""
        from statistics import median

        shares = self.bulk.shares
        if not shares:
            return ""
        parts = {stage: median(s[stage] for s in shares) for stage in _BESIDE}
        every = [sum(s[stage] for stage in _BESIDE) for s in shares]
        words = ", ".join(f"{stage} {share:.1%}" for stage, share in parts.items())
        return f"of {cores()} cores: {words}; together {median(every):.1%} ({min(every):.1%}..{max(every):.1%})"

    @note.setter
    def note(self, _value) -> None:
        pass


def _part(generator, format: str, count: int, unit: str, base: str) -> Comparison:
    bulk = _Bulk(generator, format, count, base)
    comparison = _Shares(
        unit,
        "network",
        [
            Alternative("network", bulk.network, count),
            Alternative("encoder", bulk.encoder, count),
            Alternative("disk", bulk.disk, count),
            Alternative("all", bulk.everything, count),
        ],
        bulk.check(),
        warm=True,
    )
    comparison.bulk = bulk
    return comparison


def comparisons(count: int | None) -> list[tuple[str, Comparison]]:
    """A part for every format of ECGs, and of images where torch is here to make a checkpoint."""
    folder = tempfile.TemporaryDirectory(prefix="bulk_stages")
    atexit.register(folder.cleanup)
    ecg = dsb_fast.load("cardiovascular.ecg", device="cpu")
    parts = [(f"ECG, {name}", _part(ecg, name, count or 2000, "ECG/s", folder.name)) for name in _ECG_FORMATS]
    try:
        workspace = Workspace("bulk_stages")
    except Missing as missing:
        parts[-1][1].missing["GI images"] = str(missing)
        return parts
    atexit.register(workspace.release)
    images = dsb_fast.load(workspace.checkpoint, device="cpu")
    return parts + [(f"GI image, {n}", _part(images, n, count or 256, "image/s", folder.name)) for n in _IMAGE_FORMATS]

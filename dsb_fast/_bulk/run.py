"""From a recipe to a finished folder: plan, workers, writer, publisher.

Workers (threads; the network, the noise and the encoders release the interpreter lock) make and encode batches. The
calling thread writes and hashes them in order. A third thread syncs and renames finished shards, so that the disk and
the encoders do not wait for each other. Every queue between them is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict

import numpy as np

from .._errors import GenerationError, InputError
from .._generator import Generator
from .._parallel import ordered
from ..random import check_range
from . import writers
from .interrupts import HeldInterrupts
from .manifest import FORMAT_VERSION, Dataset
from .plan import DEFAULT_SHARD_SIZE, Shard
from .system import System


def make_recipe(
    generator: Generator,
    count: int,
    seed: int = 0,
    start: int = 0,
    format: str | None = None,
    shard_size: int | None = None,
    format_options: dict | None = None,
    **options,
) -> tuple[dict, object, writers.Format]:
    """The manifest's recipe, the model's checked options, and the format. Raises InputError."""
    seed, start, count = check_range(seed, start, count)
    if count == 0:
        raise InputError("count: 0 samples make no dataset; ask for at least 1")
    model = generator.model
    chosen = model.options(**options)
    about = model.context(chosen)
    kind = writers.find(format or model.default_format, writers.SIGNAL if about.get("lead_names") else writers.IMAGE)
    format_options = dict(format_options or {})
    unknown = sorted(set(format_options) - set(kind.options))
    if unknown:
        raise InputError(f"format {kind.name}: no option is called {', '.join(unknown)}")
    info = model.info()
    recipe = {
        "format_version": FORMAT_VERSION,
        "model": model.name,
        "title": info["title"],
        "licence": info["licence"],
        "citation": info["citation"],
        "options": asdict(chosen),
        "weights_sha256": info["weights_sha256"],
        "graph_sha256": generator.graph_sha256,
        "grade": generator.backend.grade,
        "depends_on": dict(generator.backend.depends_on),
        "seed": seed,
        "start": start,
        "count": count,
        "format": kind.name,
        "format_options": {**kind.options, **format_options},
        "precision": generator.precision,
        "backend": generator.backend.name,
        "flavour": generator.flavour,
        "shard_size": DEFAULT_SHARD_SIZE,
        "sample_shape": list(model.sample_shape(chosen)),
        "sample_dtype": np.dtype(model.dtype).name,
        **about,
    }
    format_ = kind(writers.FormatContext.of(recipe))
    recipe["shard_size"] = _shard_size(shard_size, format_.group)
    if format_.encoder:
        recipe["encoder"] = format_.encoder
    return recipe, chosen, format_


def _shard_size(asked: int | None, group: int) -> int:
    """Samples a shard: what was asked for, checked; else the default, made of whole files."""
    if asked is None:
        return -(-DEFAULT_SHARD_SIZE // group) * group
    if isinstance(asked, bool) or not isinstance(asked, int) or not 1 <= asked <= 1_000_000:
        raise InputError(f"shard_size: {asked!r}; it must be from 1 to 1000000")
    if asked % group:
        raise InputError(f"shard_size: {asked}; with {group} samples a sheet it must be a multiple of {group}")
    return asked


def generate_dataset(
    generator: Generator,
    folder: str,
    recipe: dict,
    options,
    format_: writers.Format,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    system: System | None = None,
) -> bool:
    """Make the dataset, or what is missing of it. False if it was finished already and nothing was written.

    ``progress(done, of)`` is called after every batch. Raises DatasetError if the folder can't be used, GenerationError
    if the work fails; finished shards stay and the same call goes on with the rest.
    """
    try:
        with Dataset(folder, recipe, format_, overwrite, system) as dataset:
            if dataset.complete:
                return False
            report = _Progress(progress, dataset)
            _run(generator, dataset, options, batch_size, workers, report)
            dataset.finish()
            return True
    except OSError as error:
        name = error.filename or folder
        raise GenerationError(
            f"{name}: {error.strerror or error}; finished shards are safe, and the same command goes on with the rest"
        ) from error


class _Progress:
    def __init__(self, call, dataset: Dataset):
        self._call = call
        self._of = dataset.recipe["count"]
        self._done = sum(record["count"] for record in dataset.records.values())
        self.add(0)

    def add(self, count: int) -> None:
        self._done += count
        if self._call:
            self._call(self._done, self._of)


def _jobs(shards: list[Shard], size: int) -> Iterator[tuple[Shard, int, int]]:
    for shard in shards:
        for offset in range(0, shard.count, size):
            yield shard, shard.first + offset, min(size, shard.count - offset)


def _run(generator: Generator, dataset: Dataset, options, batch_size, workers, report: _Progress) -> None:
    seed, format_ = dataset.recipe["seed"], dataset.format
    workers = workers or generator.backend.parallel
    remaining = dataset.missing()
    per_thread = -(-sum(shard.count for shard in remaining) // workers)
    batch_size = batch_size or min(generator.batch_size, max(1, per_thread))
    whole_files = max(batch_size // format_.group, 1) * format_.group  # a sheet is encoded in one go

    def make(job):
        shard, first, count = job
        parts = [
            generator.make(seed, first + k, min(batch_size, count - k), options) for k in range(0, count, batch_size)
        ]
        samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return shard, samples, format_.encode(samples, first)

    files = None
    with ThreadPoolExecutor(1, thread_name_prefix="dsb_fast_publish") as publisher:
        publishing: Future | None = None
        try:
            with (
                HeldInterrupts() as interrupts,
                closing(ordered(make, _jobs(remaining, whole_files), workers, workers)) as results,
            ):
                for shard, samples, encoded in results:
                    interrupts.check()
                    if files is None:
                        files = dataset.begin_shard(shard)
                        if format_.suffix and not format_.file_per_sample:
                            files.next_file()
                            files.write(format_.preamble(shard))
                        left = shard.count
                    for part in encoded:
                        if format_.file_per_sample:
                            files.next_file()
                        files.write(part)
                    files.add_samples(samples)
                    left -= len(samples)
                    report.add(len(samples))
                    if left == 0:
                        if publishing:
                            publishing.result()  # at most one shard waits for the disk
                        publishing, files = publisher.submit(_publish, files), None
            if publishing:
                publishing.result()
        except BaseException:
            if files is not None:
                files.discard()
            raise


def _publish(files) -> None:
    try:
        files.publish()
    except BaseException:
        files.discard()
        raise

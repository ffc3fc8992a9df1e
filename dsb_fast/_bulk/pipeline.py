"""Shards through the stages: generate and encode on worker threads, digest and write in order, publish beside it.

Every queue between the stages is bounded: at most twice as many batches as threads are made and not yet written, and
one shard waits for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .._filter.selection import Selection
from .._parallel import ordered
from .interrupts import HeldInterrupts
from .kept import is_held
from .plan import Shard
from .shard_files import Folder, ShardFiles
from .stats import MEASURE, Clock, Stats
from .writers import Format


@dataclass
class _Batch:
    """Samples of a shard that are to be written, of so many made; numbers and labels where something is selected."""

    shard: Shard
    made: int
    samples: np.ndarray
    encoded: list
    numbers: tuple[int, ...] = ()
    labels: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Pipeline:
    """What turns shards into published files.

    ``make(first, count)`` gives samples; ``batch_size`` samples are made in a call, on each of ``threads`` threads;
    ``made(count)`` is called as they are written. What is kept and labelled the recipe says, which the format knows;
    ``keep`` is the function that it names, if it names one.
    """

    make: Callable[[int, int], np.ndarray]
    format: Format
    folder: Folder
    batch_size: int
    threads: int
    made: Callable[[int], None]
    stats: Stats
    keep: Callable | None = None

    @cached_property
    def _selection(self) -> Selection | None:
        return Selection.of(self.format.context.about, self.keep)

    def run(self, shards: Iterable[Shard]) -> None:
        """Make and publish all of ``shards``. What fails, or is interrupted, leaves no temporary file."""
        for stage, threads in (("generate", self.threads), ("encode", self.threads), ("digest", 1), ("write", 1),
                               ("publish", 1)):  # fmt: skip
            self.stats.threads[stage] = threads
        if self._selection:
            self.stats.threads[MEASURE] = self.threads
        publishing: Future | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="dsb_fast_publish") as publisher:
            with (
                HeldInterrupts() as interrupts,
                Clock(self.stats) as clock,
                closing(ordered(self._batch, self._jobs(shards), self.threads, self.threads)) as batches,
            ):
                for first in batches:
                    own = self._of_shard(first, batches, interrupts, clock)
                    shard = first.shard
                    if is_held(self.format.context.about, self.format):
                        own = list(own)
                        shard = self._selected(shard, own)
                    files = ShardFiles(self.folder, shard, self.format)
                    try:
                        self._fill(files, own, clock)
                        if publishing:
                            publishing.result()  # at most one shard waits for the disk
                    except BaseException:
                        files.discard()
                        raise
                    publishing = publisher.submit(self._publish, files)
            if publishing:
                publishing.result()

    def _jobs(self, shards: Iterable[Shard]) -> Iterator[tuple[Shard, int, int]]:
        group = self.format.group
        size = max(self.batch_size // group, 1) * group  # a sheet is encoded in one go
        for shard in shards:
            for offset in range(0, shard.count, size):
                yield shard, shard.first + offset, min(size, shard.count - offset)

    def _batch(self, job: tuple[Shard, int, int]) -> _Batch:
        shard, first, count = job
        with Clock(self.stats, "generate") as clock:
            parts = [self.make(first + k, min(self.batch_size, count - k)) for k in range(0, count, self.batch_size)]
            samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if self._selection is None:
                clock.enter("encode")
                return _Batch(shard, count, samples, self.format.encode(samples, first))
            clock.enter(MEASURE)
            kept, labels = self._selection.of_batch(samples)
            clock.enter("encode")
            numbers, samples = tuple(first + k for k in np.flatnonzero(kept).tolist()), samples[kept]
            encoded = self.format.encode_kept(samples, numbers, labels)
            return _Batch(shard, count, samples, encoded, numbers, labels)

    def _of_shard(self, first: _Batch, batches: Iterator, interrupts: HeldInterrupts, clock: Clock) -> Iterator[_Batch]:
        """``first``, then the others of its shard, of ``batches`` in order of sample numbers."""
        left, batch = first.shard.count, first
        while True:
            interrupts.check()
            yield batch
            self.made(batch.made)
            left -= batch.made
            if not left:
                return
            clock.enter("wait")
            batch = next(batches)

    def _selected(self, shard: Shard, batches: list[_Batch]) -> Shard:
        """What is stored of a shard, all of whose ``batches`` are there."""
        if self._selection.filters:
            shard = shard.keeping(tuple(number for batch in batches for number in batch.numbers))
        return replace(shard, labels=_joined([batch.labels for batch in batches]))

    def _fill(self, files: ShardFiles, batches: Iterable[_Batch], clock: Clock) -> None:
        """Write the whole shard of ``files``."""
        labels: list[dict[str, np.ndarray]] = []

        def encoded() -> Iterator[list]:
            for batch in batches:
                labels.append(batch.labels)
                clock.enter("digest")
                files.add_samples(batch.samples)
                clock.enter("encode")
                yield batch.encoded

        def write(pieces: list, each_a_file: bool) -> None:
            clock.enter("digest")  # of all pieces first: asking a thread for its processor time takes up to 12 us
            views = [files.digest(data) for data in pieces]
            clock.enter("write")
            for view in views:
                if each_a_file:
                    files.next_file()
                files.write(view)
            self.stats.count(0, sum(view.nbytes for view in views))
            clock.enter("encode")

        if self.format.file_per_sample:
            for parts in encoded():
                write(parts, True)
        elif self.format.suffixes:
            files.next_file()
            for data in self.format.join(files.shard, encoded()):
                write([data], False)
        else:
            for _ in encoded():
                pass
        if self.format.label_files(files.shard):
            for data in self.format.label_bytes(replace(files.shard, labels=_joined(labels))):
                write([data], True)
        clock.enter("wait")
        self.stats.count(files.shard.count, 0)

    def _publish(self, files: ShardFiles) -> None:
        with Clock(self.stats, "publish"):
            try:
                files.publish()
            except BaseException:
                files.discard()
                raise


def _joined(labels: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Labels of batches one after the other."""
    return {name: np.concatenate([some[name] for some in labels]) for name in labels[0]}

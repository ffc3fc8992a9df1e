"""Shards through the stages: generate and encode on worker threads, digest and write in order, publish beside it.

Every queue between the stages is bounded: at most twice as many batches as threads are made and not yet written, and
one shard waits for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from .._parallel import ordered
from .interrupts import HeldInterrupts
from .plan import Shard
from .shard_files import Folder, ShardFiles
from .stats import Clock, Stats
from .writers import Format


@dataclass
class Pipeline:
    """What turns shards into published files.

    ``make(first, count)`` gives samples; ``batch_size`` samples are made in a call, on each of ``threads`` threads;
    ``made(count)`` is called as they are written.
    """

    make: Callable[[int, int], np.ndarray]
    format: Format
    folder: Folder
    batch_size: int
    threads: int
    made: Callable[[int], None]
    stats: Stats

    def run(self, shards: Iterable[Shard]) -> None:
        """Make and publish all of ``shards``. What fails, or is interrupted, leaves no temporary file."""
        for stage, threads in (("generate", self.threads), ("encode", self.threads), ("digest", 1), ("write", 1),
                               ("publish", 1)):  # fmt: skip
            self.stats.threads[stage] = threads
        publishing: Future | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="dsb_fast_publish") as publisher:
            with (
                HeldInterrupts() as interrupts,
                Clock(self.stats) as clock,
                closing(ordered(self._batch, self._jobs(shards), self.threads, self.threads)) as batches,
            ):
                for shard, samples, encoded in batches:
                    files = ShardFiles(self.folder, shard, self.format)
                    try:
                        self._fill(files, _chain((samples, encoded), batches), interrupts, clock)
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

    def _batch(self, job: tuple[Shard, int, int]) -> tuple[Shard, np.ndarray, list]:
        shard, first, count = job
        with Clock(self.stats, "generate") as clock:
            parts = [self.make(first + k, min(self.batch_size, count - k)) for k in range(0, count, self.batch_size)]
            samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
            clock.enter("encode")
            return shard, samples, self.format.encode(samples, first)

    def _fill(self, files: ShardFiles, batches: Iterator, interrupts: HeldInterrupts, clock: Clock) -> None:
        """Write the whole shard of ``files``."""

        def encoded() -> Iterator[list]:
            left = files.shard.count
            while left:
                clock.enter("wait")
                samples, parts = next(batches)
                interrupts.check()
                clock.enter("digest")
                files.add_samples(samples)
                clock.enter("encode")
                yield parts
                left -= len(samples)
                self.made(len(samples))

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
        clock.enter("wait")
        self.stats.count(files.shard.count, 0)

    def _publish(self, files: ShardFiles) -> None:
        with Clock(self.stats, "publish"):
            try:
                files.publish()
            except BaseException:
                files.discard()
                raise


def _chain(first: tuple, batches: Iterator[tuple]) -> Iterator[tuple]:
    """``first``, then the samples and encoded parts of ``batches``, which go on in order of sample numbers."""
    yield first
    for _, samples, encoded in batches:
        yield samples, encoded

"""Ways to make the same samples, timed in turns: devices and precisions without files, formats with them."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .._bulk.run import generate_dataset, make_recipe
from .._bulk.stats import Stats
from .._generator import Generator

IN_MEMORY = "dummy"  # the format that keeps nothing
MAX_BYTES = 2 << 30  # that one run leaves on the disk for a moment


@dataclass
class Way:
    """One way to make samples: a generator and a format. ``rates`` are samples a second, one a round."""

    generator: Generator
    device: str
    format: str
    rates: list[float] = field(default_factory=list)
    stats: Stats = field(default_factory=Stats)
    count: int = 0

    @property
    def rate(self) -> float:
        """Median of the rounds, samples a second."""
        return statistics.median(self.rates)

    @property
    def bytes_a_sample(self) -> float:
        """Of its files."""
        return self.stats.bytes / max(self.stats.samples, 1)

    def run(self, folder: str, count: int) -> Stats:
        """Make ``count`` samples as a data set of its own, and delete it. Raises what generate_dataset raises."""
        recipe, chosen, format_ = make_recipe(self.generator, count, format=self.format)
        stats = Stats()
        place = Path(tempfile.mkdtemp(prefix="dsb-fast-bench-", dir=folder))
        try:
            generate_dataset(self.generator, str(place / "set"), recipe, chosen, format_, stats=stats)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return stats

    def fit(self, folder: str, seconds: float) -> None:
        """Find how many samples take about ``seconds``; the first, short run also warms up."""
        once = self.generator.batch_size * self.generator.backend.parallel
        self.run(folder, min(once, 64))
        count, elapsed = once, 0.0
        while True:
            stats = self.run(folder, count)
            elapsed = stats.elapsed_s
            if elapsed >= seconds / 4 or count >= 1 << 20:
                break
            count *= 4
        most = max(int(MAX_BYTES * stats.samples / max(stats.bytes, 1)), 1)
        self.count = min(max(round(count * seconds / elapsed), 1), most)

    def measure(self, folder: str) -> None:
        """One round."""
        stats = self.run(folder, self.count)
        self.rates.append(stats.samples / stats.elapsed_s)
        self.stats.merge(stats.as_dict())
        self.stats.threads = stats.threads  # those of a run, not of all rounds together
        self.stats.elapsed_s += stats.elapsed_s


def measure_all(
    ways: list[Way], folder: str, seconds: float, rounds: int, said: Callable[[str], None] = lambda text: None
) -> None:
    """Time every way once a round, beginning each round with another one, in about ``seconds`` altogether."""
    each = seconds / (len(ways) * (rounds + 1.5))
    for way in ways:
        said(f"warming up {way.device} {way.format}")
        way.fit(folder, each)
    for round_ in range(rounds):
        first = round_ % len(ways)
        for way in ways[first:] + ways[:first]:
            said(f"round {round_ + 1} of {rounds}: {way.device} {way.format}")
            way.measure(folder)


def latency_ms(generator: Generator, rounds: int = 15) -> float:
    """Median time of one sample asked for by itself."""
    generator.sample(1)
    times = []
    for k in range(rounds):
        begin = time.perf_counter()
        generator.sample(1, start=k)
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)

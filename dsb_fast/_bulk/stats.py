"""Where a run's time goes: every thread is in one stage at a time, and the clock notes which."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from .. import _stages

# Stage by stage what a sample goes through; a thread that is in none of them waits for another.
STAGES = ("generate", "encode", "digest", "write", "publish")
MEASURE = "measure"  # of samples that are filtered or labelled, once they are generated
ON_DEVICE = ("device", "copy")  # where another processor makes samples, one thread at a time
WAIT = "wait"


@dataclass
class Stats:
    """Seconds that threads spent in each stage, on the wall and on a processor; several threads may add to it."""

    samples: int = 0
    bytes: int = 0
    elapsed_s: float = 0.0
    wall_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)  # that work on a stage
    cores: int | None = None  # that there were, if not those of this machine
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, stage: str, wall_s: float, cpu_s: float) -> None:
        """Time that a thread has spent in ``stage``."""
        with self._lock:
            self.wall_s[stage] = self.wall_s.get(stage, 0.0) + wall_s
            self.cpu_s[stage] = self.cpu_s.get(stage, 0.0) + cpu_s

    def count(self, samples: int, nbytes: int) -> None:
        """Samples that were written, and their bytes."""
        with self._lock:
            self.samples += samples
            self.bytes += nbytes

    def as_dict(self) -> dict:
        """The numbers, for another process."""
        return {
            "samples": self.samples,
            "bytes": self.bytes,
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "threads": {**{stage: 1 for stage in ON_DEVICE if stage in self.wall_s}, **self.threads},
        }

    def merge(self, other: dict) -> None:
        """Add what another process measured."""
        self.count(other["samples"], other["bytes"])
        for stage in other["wall_s"]:
            self.add(stage, other["wall_s"][stage], other["cpu_s"][stage])
        for stage, threads in other["threads"].items():
            self.threads[stage] = self.threads.get(stage, 0) + threads

    @property
    def stages(self) -> tuple[str, ...]:
        """Those that samples went through."""
        beside = [stage for stage in ON_DEVICE if stage in self.wall_s] + [MEASURE] * (MEASURE in self.threads)
        return (STAGES[0], *beside, *STAGES[1:])

    def busy(self) -> dict[str, float]:
        """Of each stage the share of its threads' time in which it was at work, 0 to 1."""
        elapsed = max(self.elapsed_s, 1e-9)
        threads = {stage: max(self.threads.get(stage, 1), 1) for stage in self.stages}
        return {stage: self.wall_s.get(stage, 0.0) / (elapsed * threads[stage]) for stage in threads}

    def machine(self, cores: int) -> dict[str, float]:
        """Of each stage the share of all ``cores`` that it kept busy, 0 to 1."""
        elapsed = max(self.elapsed_s, 1e-9)
        return {stage: self.cpu_s.get(stage, 0.0) / (elapsed * cores) for stage in self.stages}

    def limit(self) -> tuple[str, float]:
        """The stage whose threads are busiest, which is what the run waits for, and their share of the time."""
        busy = self.busy()
        slowest = max(self.stages, key=lambda stage: busy[stage])
        return slowest, busy[slowest]

    def table(self, cores: int) -> str:
        """What ``dsb-fast generate --stats`` prints."""
        busy, machine = self.busy(), self.machine(cores)
        rate = self.samples / max(self.elapsed_s, 1e-9)
        lines = [
            f"{self.samples} samples, {self.bytes} bytes, {self.elapsed_s:.2f} s: {rate:.0f} samples/s",
            f"{'stage':10}{'threads':>8}{'busy':>8}{'machine':>9}   of {cores} cores",
        ]
        for stage in self.stages:
            threads = self.threads.get(stage, int(stage in ON_DEVICE))
            lines.append(f"{stage:10}{threads:8}{busy[stage]:8.0%}{machine[stage]:9.1%}")
        stage, share = self.limit()
        lines.append(f"limited by {stage}: busy {share:.0%} of the time")
        return "\n".join(lines) + "\n"


class Clock:
    """The stage that one thread is in. For that thread alone."""

    def __init__(self, stats: Stats, stage: str = WAIT):
        self._stats, self.stage = stats, stage
        self._wall, self._cpu = time.perf_counter(), time.thread_time()

    def enter(self, stage: str) -> str:
        """Leave the stage that the thread is in, for ``stage``; returns the one that was left."""
        left, wall, cpu = self.stage, time.perf_counter(), time.thread_time()
        self._stats.add(left, wall - self._wall, cpu - self._cpu)
        self.stage, self._wall, self._cpu = stage, wall, cpu
        return left

    def __enter__(self):
        self._before = _stages.set_clock(self)
        return self

    def __exit__(self, *_):
        _stages.set_clock(self._before)
        self.enter(WAIT)

"""The stages of a run, each alone through dummies, and what is said of where the time went."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from dsb_fast._bulk import run
from dsb_fast._bulk.dummies import DummyFolder, encoded_once, repeated
from dsb_fast._bulk.pipeline import Pipeline
from dsb_fast._bulk.plan import Plan
from dsb_fast._bulk.stats import STAGES, Clock, Stats
from dsb_fast._bulk.writers import FormatContext, find
from dsb_fast._stages import stage

pytestmark = pytest.mark.variant_independent


def spin(seconds):
    """Keep this thread's processor busy."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_clock_puts_every_moment_into_one_stage():
    stats = Stats()
    begin = time.perf_counter()
    with Clock(stats) as clock:
        inside = time.perf_counter()
        spin(0.02)
        assert clock.enter("write") == "wait"
        time.sleep(0.05)
        assert clock.enter("digest") == "write"
        spin(0.03)
        least = time.perf_counter() - inside
    most = time.perf_counter() - begin
    assert least <= sum(stats.wall_s.values()) + 1e-9 and sum(stats.wall_s.values()) <= most + 1e-9
    assert stats.cpu_s["digest"] >= 0.03 and stats.cpu_s["write"] < 0.05 <= stats.wall_s["write"]


def test_shares_are_of_threads_and_of_the_machine():
    stats = Stats(elapsed_s=2.0, threads={"generate": 2, "write": 1})
    stats.add("generate", 3.0, 2.0)
    stats.merge({"samples": 7, "bytes": 70, "wall_s": {"write": 1.0}, "cpu_s": {"write": 0.4}, "threads": {"write": 1}})
    assert stats.busy()["generate"] == 0.75 and stats.machine(4)["generate"] == 0.25
    assert stats.busy()["write"] == 0.25 and stats.machine(4)["write"] == 0.05
    assert stats.table(4).splitlines()[0] == "7 samples, 70 bytes, 2.00 s: 4 samples/s"


def test_the_busiest_stage_is_what_a_run_waits_for():
    stats = Stats(samples=8, elapsed_s=2.0, threads={"generate": 4, "encode": 4})
    stats.add("generate", 2.0, 2.0)
    stats.add("encode", 4.0, 4.0)
    assert stats.limit() == ("encode", 0.5) and "device" not in stats.table(4)
    stats.add("device", 1.9, 0.1)  # one thread at a time
    assert stats.limit() == ("device", 0.95)
    assert stats.table(4).splitlines()[-1] == "limited by device: busy 95% of the time"
    two = Stats(elapsed_s=2.0)
    for _ in range(2):  # processes, a GPU each
        two.merge(stats.as_dict())
    assert two.limit() == ("device", 0.95) and two.threads["encode"] == 8


def test_a_stage_inside_a_stage_is_noted_from_below():
    stats = Stats()
    with Clock(stats, "generate") as clock:
        with stage("wait"):
            assert clock.stage == "wait"
            with stage("device"):
                time.sleep(0.02)
            assert clock.stage == "wait"
        assert clock.stage == "generate"
        spin(0.01)
    with stage("copy"):  # nobody's clock
        pass
    assert stats.wall_s["device"] >= 0.02 and stats.wall_s["generate"] >= 0.01 and "copy" not in stats.wall_s


@pytest.mark.parametrize("format", ["asc", "npy"])
def test_each_stage_alone(generator, format):
    samples = generator.sample(4, seed=1)
    _, options, kind = run.make_recipe(generator, 40, format=format)
    _, _, nothing = run.make_recipe(generator, 40, format="dummy")
    stats = {}
    for name, make, format_ in (
        ("generate", lambda first, count: generator.make(1, first, count, options), nothing),
        ("encode", repeated(samples), kind),
        ("write", repeated(samples), encoded_once(run.make_recipe(generator, 40, format=format)[2], samples)),
    ):
        stats[name] = Stats()
        Pipeline(make, format_, DummyFolder(), 4, 2, lambda count: None, stats[name]).run(Plan(0, 40, 10))
        assert stats[name].samples == 40 and set(STAGES) - {"write"} <= set(stats[name].wall_s)
    assert "write" in stats["write"].wall_s
    assert stats["encode"].bytes == stats["write"].bytes > 40 * 80_000 and stats["generate"].bytes == 0


def test_what_waits_is_bounded():
    """However slow the disk, at most twice as many batches as threads are made ahead of the one that is written."""
    made, written, most = 0, 0, 0
    lock = threading.Lock()

    def make(first, count):
        nonlocal made, most
        with lock:
            made += 1
            most = max(most, made - written)
        return np.zeros((count, 2, 3), np.int16)

    def count_written(count):
        nonlocal written
        time.sleep(0.002)
        with lock:
            written += 1

    format_ = find("npy")(FormatContext((2, 3), "int16", ("a", "b"), 500.0))
    Pipeline(make, format_, DummyFolder(), 5, 3, count_written, Stats()).run(Plan(0, 1000, 50))
    assert made == written == 200 and most <= 2 * 3 + 2

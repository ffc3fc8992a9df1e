"""``dsb-fast bench``: what it prints on this machine, and what it makes of numbers."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dsb_fast._bench import findings
from dsb_fast._bench.measure import IN_MEMORY, Way
from dsb_fast._bulk.stats import Stats

pytestmark = pytest.mark.variant_independent  # what is said of times, not what is timed


def _stats(threads=2, elapsed=10.0, **stages):
    """Stage: (wall seconds, processor seconds) of all its threads."""
    stats = Stats(samples=100, bytes=8_000_000, elapsed_s=elapsed)
    for stage in ("generate", "encode", "digest", "write", "publish"):
        wall, cpu = stages.get(stage, (0.0, 0.0))
        stats.add(stage, wall, cpu)
        stats.threads[stage] = threads if stage in ("generate", "encode") else 1
    return stats


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ({"generate": (18, 18), "encode": (1, 1)}, "the network (90% of the processor)"),
        ({"generate": (6, 6), "encode": (12, 12)}, "the encoder (60% of the processor)"),
        ({"generate": (9, 9), "publish": (9.5, 0.5)}, "the disk (its thread is busy 95% of the time)"),
        ({"generate": (9, 9), "digest": (9, 9)}, "SHA-256 (its thread is busy 90% of the time)"),
        ({"generate": (20, 2)}, "the device (the threads that feed it wait 90% of the time)"),
    ],
)
def test_what_limits_a_run(stages, said):
    assert findings.limit(_stats(**stages), cores=2) == said


def _way(device, rates, format_=IN_MEMORY, precision="fp32", stats=None):
    return Way(SimpleNamespace(precision=precision), device, format_, rates, stats or _stats(generate=(18, 18)))


def test_the_faster_device_is_named_and_auto_is_said_to_be_slower():
    lines = findings.advice([_way("cpu", [100.0]), _way("openvino", [250.0])], "cpu", 2, "ECGs")
    assert lines == ["use --device openvino: 2.5 times cpu, which auto takes"]


def test_times_and_sizes_of_a_million():
    ways = [_way("cpu", [1000.0, 900.0, 1100.0]), _way("cpu", [500.0], "npy"), _way("cpu", [100.0], "asc")]
    lines = findings.advice(ways, "cpu", 2, "ECGs")
    assert lines[0] == "use --device cpu, which auto takes"
    assert lines[1].startswith("a million ECGs as npy: 33 min, 80 GB; limited by the network")
    assert lines[2].startswith("a million ECGs as asc: 2.8 h, 80 GB")
    assert lines[3] == "npy is 5.0 times as fast as asc"


def test_a_lower_precision_is_named_only_if_it_is_faster():
    fast, slow = _way("cpu", [150.0], precision="bf16"), _way("cpu", [90.0], precision="fp16")
    lines = findings.advice([_way("cpu", [100.0]), fast, slow], "cpu", 2, "images")
    assert len(lines) == 2 and lines[1].startswith("--device cpu --precision bf16 is 1.5 times")


@pytest.mark.parametrize(
    ("seconds", "said"), [(12.3, "12 s"), (89, "89 s"), (100, "2 min"), (7200, "2.0 h"), (864000, "10.0 days")]
)
def test_durations(seconds, said):
    assert findings.duration(seconds) == said


def _bench(folder, *arguments):
    command = [sys.executable, "-m", "dsb_fast", "bench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_on_this_machine(tmp_path):
    (tmp_path / "scratch").mkdir()
    short = ("--seconds", "1", "--rounds", "1")
    done = _bench(tmp_path, *short, "--format", "npy", "--folder", "scratch", "--json", "b.json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and not list((tmp_path / "scratch").iterdir())
    assert "use --device " in done.stdout and "a million ECGs as npy" in done.stdout
    assert "not measured: cuda" in done.stdout or "cuda" in done.stdout
    ways = json.loads((tmp_path / "b.json").read_text())["ways"]
    assert {way["format"] for way in ways} == {"dummy", "npy"}
    assert all(rate > 0 for way in ways for rate in way["samples_a_second"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "--seconds"),
        (["--rounds", "0"], "--rounds"),
        (["--folder", "nowhere"], "nowhere"),
        (["--json", "nowhere/b.json"], "nowhere/b.json"),
        (["--format", "png", "--seconds", "1"], "png"),
        (["no.such.model"], "no.such.model"),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, said):
    done = _bench(tmp_path, *arguments)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1

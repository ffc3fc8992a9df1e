"""Worker processes: the bytes of one process, clean ends whatever happens to parent or workers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run
from dsb_fast._bulk.stats import STAGES, Stats

pytestmark = pytest.mark.variant_independent

COUNT = 40


def make(generator, folder, count=COUNT, *, format="npy", **how):
    """A small dataset in shards of three."""
    recipe, options, format_ = run.make_recipe(generator, count, seed=3, format=format, shard_size=3)
    return run.generate_dataset(generator, str(folder), recipe, options, format_, **how)


@pytest.fixture(scope="module")
def loaded():
    return dsb_fast.load("cardiovascular.ecg", device="cpu")


@pytest.fixture(scope="module")
def undisturbed(loaded, tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp("undisturbed") / name for name in ("npy", "asc")}
    for name, folder in folders.items():
        make(loaded, folder, format=name)
    return {name: tree(folder) for name, folder in folders.items()}


def command(folder, format="npy", count=COUNT, workers=2):
    return [sys.executable, "-m", "dsb_fast", "generate", "cardiovascular.ecg", "-n", str(count), "-o", str(folder),
            "--format", format, "--shard-size", "3", "--seed", "3", "--device", "cpu",
            "--workers", str(workers)]  # fmt: skip


def children_of(pid: int) -> list[int]:
    """Processes that ``pid`` has started."""
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("format", "workers"), [("npy", 2), ("asc", 3), ("npy", 17)])
def test_workers_change_no_byte(loaded, tmp_path, undisturbed, format, workers):
    seen, stats = [], Stats()
    make(
        loaded, tmp_path / "d", format=format, workers=workers, progress=lambda done, of: seen.append(done), stats=stats
    )
    assert tree(tmp_path / "d") == undisturbed[format]
    assert seen[0] == 0 and seen[-1] == COUNT and seen == sorted(seen)
    assert stats.samples == COUNT and stats.threads["publish"] == workers
    assert make(loaded, tmp_path / "d", format=format, workers=workers) is False


def test_what_load_was_given_reaches_the_workers(tmp_path):
    weights = Path(find_spec("deepfakeecg").submodule_search_locations[0], "checkpoints/g_stat.pt")
    generator = dsb_fast.load(weights, device="cpu", card={"scale": 3.0, "unit": "mV", "licence": "mine"})
    make(generator, tmp_path / "one", 6)
    make(generator, tmp_path / "two", 6, workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert json.loads((tmp_path / "one/dataset.json").read_text())["scale_unit"] == "mV"


def test_a_generator_that_was_not_loaded_is_refused(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "opened_with", None)
    with pytest.raises(dsb_fast.InputError, match="workers"):
        make(generator, tmp_path / "d", workers=2)


def test_killed_parent_leaves_no_worker_and_the_next_run_ends_with_the_same_bytes(tmp_path, undisturbed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, moments = tmp_path / "d", random.Random(5)
    for _ in range(5):
        process = subprocess.Popen(command(folder), stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.3, 1.2))
        workers = children_of(process.pid) if process.poll() is None else []
        process.kill()
        process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))  # noqa: B023
    subprocess.run(command(folder), check=True, capture_output=True)  # at once: it waits for the lock, if it must
    assert tree(folder) == undisturbed["npy"]


def test_killed_worker_is_an_error_and_nothing_is_lost(tmp_path, undisturbed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "d"
    process = subprocess.Popen(command(folder, count=50_000), stderr=subprocess.PIPE, text=True)
    names = ("000000000.npy", "000000003.npy")  # by different workers, in any order
    wait_until(lambda: all((folder / name).exists() for name in names))
    victim = children_of(process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    assert process.wait(120) == 1
    message = process.stderr.read().strip()
    assert len(message.splitlines()) == 1 and "was killed" in message and "goes on" in message
    assert not [name for name in os.listdir(folder) if name.startswith(".dsb-tmp")]
    made = json.loads((folder / "dataset.json").read_text())
    assert not made["complete"] and made["count"] == 50_000
    for name in names:
        assert (folder / name).read_bytes() == undisturbed["npy"][name]


_AS_IN_A_TERMINAL = """
import signal, sys
from dsb_fast._cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_and_terminated(tmp_path, undisturbed, number, status):
    folder = tmp_path / "d"
    process = subprocess.Popen(
        [sys.executable, "-c", _AS_IN_A_TERMINAL, *command(folder, "asc", 50_000)[3:]],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: all((folder / name).exists() for name in ("0.asc", "5.asc")))
    workers = children_of(process.pid)
    process.send_signal(number)
    assert process.wait(120) == status
    message = process.stderr.read().strip()
    assert len(message.splitlines()) == 1 and "goes on" in message
    assert len(workers) == 2 and not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not [name for name in os.listdir(folder) if name.startswith(".dsb-tmp")]
    for name in ("0.asc", "5.asc"):
        assert (folder / name).read_bytes() == undisturbed["asc"][name]


def test_stats_name_every_stage_and_are_not_in_the_manifest(tmp_path):
    words = [*command(tmp_path / "d"), "--stats"]
    printed = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert printed.startswith(f"{COUNT} samples, ")
    *rows, last = printed.splitlines()[2:]
    assert [line.split()[0] for line in rows] == list(STAGES)
    assert last.startswith("limited by ") and last.split()[2].rstrip(":") in STAGES
    assert "elapsed" not in (tmp_path / "d/dataset.json").read_text()
    again = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert again.stdout == "" and "finished already" in again.stderr

"""Engine ray without a cluster: what it refuses, and a node's task by itself."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import ray_progress, ray_task, run
from dsb_fast._bulk.plan import Plan
from dsb_fast._bulk.ray_weights import packed, unpacked
from dsb_fast._bulk.shard_files import TEMPORARY
from dsb_fast._bulk.system import System

pytestmark = pytest.mark.variant_independent

COUNT = 10


@pytest.fixture
def whole(tmp_path):
    """A dataset made here, in shards of four: recipe, folder."""
    recipe, options, format_ = run.make_recipe(SignalGenerator(), COUNT, seed=3, format="asc", shard_size=4)
    run.generate_dataset(SignalGenerator(), str(tmp_path / "whole"), recipe, options, format_)
    return recipe, tmp_path / "whole"


@pytest.fixture
def job(whole, tmp_path, monkeypatch):
    """What the driver gives to tasks that work in the folder "shared"."""
    monkeypatch.setattr("dsb_fast._api.load", lambda **_: SignalGenerator())
    monkeypatch.setattr(ray_task, "_opened", {})
    (tmp_path / "shared").mkdir()
    return {
        "url": None, "fence": ray_task.new_fence(str(tmp_path / "shared"), System()), "recipe": whole[0],
        "engine_version": dsb_fast.__version__, "opened_with": {}, "batch_size": None, "threads": 1,
    }  # fmt: skip


def shards_of(recipe):
    return [(shard.first, shard.count) for shard in Plan.of(recipe)]


def made(folder):
    """Files of ``folder`` but for the fence."""
    return {name: data for name, data in tree(folder).items() if not name.startswith(TEMPORARY + "run-")}


def test_a_task_makes_the_files_and_records_of_a_run_here(whole, job, tmp_path):
    recipe, folder = whole
    result = ray_task.make_shards(job, None, shards_of(recipe))
    expected = tree(folder)
    manifest = expected.pop("dataset.json").decode()
    assert made(tmp_path / "shared") == expected
    assert [record["first"] for record in result["records"]] == [0, 4, 8]
    assert all(record["sha256"] in manifest and record["samples_sha256"] in manifest for record in result["records"])
    assert result["stats"]["samples"] == COUNT and result["seconds"] > 0


def test_the_same_shards_made_by_two_tasks_at_once(whole, job, tmp_path):
    recipe, folder = whole
    results, expected = [], tree(folder)
    del expected["dataset.json"]
    tasks = [
        threading.Thread(target=lambda: results.append(ray_task.make_shards(job, None, shards_of(recipe))))
        for _ in range(4)
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert [result["records"] for result in results] == [results[0]["records"]] * 4
    assert made(tmp_path / "shared") == expected


def test_a_task_whose_run_has_ended_names_no_file(whole, job, tmp_path, monkeypatch):
    """The next run removes temporary files, the fence among them."""

    class Slow(SignalGenerator):
        def make(self, *arguments, **options):
            if os.path.exists(job["fence"]):
                os.unlink(job["fence"])
            return super().make(*arguments, **options)

    monkeypatch.setattr("dsb_fast._api.load", lambda **_: Slow())
    assert "has ended" in ray_task.make_shards(job, None, shards_of(whole[0]))["failed"]
    assert tree(tmp_path / "shared") == {}


def test_a_folder_that_is_not_shared_is_refused(whole, job, monkeypatch):
    monkeypatch.setattr(ray_task, "_FENCE_WAIT_S", 0.0)
    os.unlink(job["fence"])
    assert "that all nodes share" in ray_task.make_shards(job, None, shards_of(whole[0]))["failed"]


@pytest.mark.parametrize("other", ["grade", "depends_on", "graph_sha256", "engine_version"])
def test_a_node_that_makes_other_bytes_is_refused(whole, job, tmp_path, other):
    if other == "engine_version":
        job[other] = "0.0.1"
    else:
        job["recipe"] = {**job["recipe"], other: {"onnxruntime": "0"} if other == "depends_on" else "another"}
    failed = ray_task.make_shards(job, None, shards_of(whole[0]))["failed"]
    assert "other bytes" in failed and len(failed.splitlines()) == 1
    assert made(tmp_path / "shared") == {}


class FakeRay:
    """As much of Ray as progress has to do with: an actor that answers at once, or not."""

    exceptions = SimpleNamespace(RayError=KeyError)
    answers = True

    def remote(self, kind):
        actor = kind()

        def method(call):
            return SimpleNamespace(remote=call)

        handle = SimpleNamespace(put=method(actor.put), get=method(lambda: dict(actor.get())))
        made = SimpleNamespace(remote=lambda: handle)
        return SimpleNamespace(options=lambda **_: made)

    def wait(self, references, timeout):
        return (references, []) if self.answers else ([], references)

    def get(self, reference):
        return reference

    def kill(self, handle):
        raise KeyError


def test_progress_adds_up_and_never_goes_back(monkeypatch):
    monkeypatch.setattr(ray_progress, "_EVERY_S", 0.0)
    ray, seen = FakeRay(), []
    progress = ray_progress.Progress(ray, seen.append, live=True)

    def look():
        progress.look()
        progress.look()
        return sum(seen)

    progress.begins(0)
    progress.begins(1)
    one, other = ray_progress.Reporter(progress.tally, 0), ray_progress.Reporter(progress.tally, 1)
    one.add(3)
    one.add(2)
    other.add(4)
    assert look() == 9
    ray_progress.Reporter(progress.tally, 0).add(1)  # run again on another node
    assert look() == 9
    ray.answers = False
    progress.ends(1, 8)
    assert look() == 9
    ray.answers = True
    assert look() == 9
    progress.ends(0, 6)
    assert look() == 14 and all(count > 0 for count in seen)
    progress.close()
    progress = ray_progress.Progress(ray, seen.append, live=False)
    progress.begins(0)
    ray_progress.Reporter(progress.tally, 0).add(1)
    assert look() == 14
    progress.ends(0, 2)
    assert look() == 16


def test_files_of_a_checkpoint_are_sent_whole(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    files = {"model_1.pt": b"old", "model_2.pt": b"new", ".config.json": b"{}", "model_2.pt.card.json": b"{}", "x": b""}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path / "cache"))
    sent = packed({"model": "cardiovascular.ecg", "checkpoint": str(folder)}, lambda data: data)
    assert sent["argument"] == "checkpoint"
    path = unpacked(sent, lambda data: data)
    assert tree(os.path.dirname(path)) == {n: files[n] for n in ("model_2.pt", ".config.json", "model_2.pt.card.json")}
    assert os.path.basename(path) == "model_2.pt"
    assert unpacked(sent, None) == path  # there already
    (tmp_path / "cache/sent" / os.path.basename(os.path.dirname(path)) / "model_2.pt").write_bytes(b"cut")
    with pytest.raises(dsb_fast.CheckpointError, match="other bytes"):
        unpacked(sent, lambda data: data[:-1])
    assert unpacked(sent, lambda data: data) == path
    assert packed({"model": "cardiovascular.ecg", "checkpoint": None}, None) is None


def test_without_ray_one_line(process, one_line):
    (process.folder / "ray.py").write_text("raise ImportError")
    done = process("generate", "cardiovascular.ecg", "-n", 1, "-o", "d", "--engine", "ray")
    assert one_line(done, 2) == "dsb-fast: engine ray: Ray is not there; pip install 'dsb-fast[ray]' brings it"
    assert not (process.folder / "d").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--engine", "spark"], "engine: 'spark'; there are local, ray"), (["--ray-address", "auto"], "--engine ray")],
)
def test_engines_that_are_not_there(command, one_line, words, said):
    done = command("generate", "cardiovascular.ecg", "-n", 1, "-o", "d", *words)
    assert said in one_line(done, 2)
    assert not (command.folder / "d").exists()

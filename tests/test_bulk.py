"""Datasets: the same bytes however they are made, readable by their users, refused where they should be."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.recorded_system import Killed, Quick, RecordedSystem
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.plan import Plan

FORMATS = ["asc", "csv", "npy", "dummy"]


def make(generator, folder, count=7, *, shard_size=3, format="npy", system=None, how=None, **recipe):
    """A small dataset in ``folder``."""
    description, options, format_ = run.make_recipe(
        generator, count, format=format, shard_size=shard_size, seed=recipe.pop("seed", 5), **recipe
    )
    return run.generate_dataset(generator, str(folder), description, options, format_, system=system, **(how or {}))


@pytest.fixture(scope="module")
def undisturbed(generator, tmp_path_factory):
    """One dataset a format, made in one go."""
    folders = {}
    for name in FORMATS:
        folders[name] = tmp_path_factory.mktemp("undisturbed") / name
        assert make(generator, folders[name], format=name)
    return {name: tree(folder) for name, folder in folders.items()}


@pytest.mark.parametrize("format", FORMATS)
@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_size_and_threads_do_not_change_bytes(
    generator, undisturbed, tmp_path_factory, format, batch_size, threads
):
    folder = tmp_path_factory.mktemp("set") / "d"
    make(generator, folder, format=format, how={"batch_size": batch_size, "threads": threads})
    assert tree(folder) == undisturbed[format]


@pytest.mark.parametrize("shard_size", [1, 2, 7, 100])
def test_shard_size_and_start_do_not_change_samples(generator, tmp_path, shard_size):
    make(generator, tmp_path / "a", shard_size=shard_size, format="asc")
    make(generator, tmp_path / "b", 4, shard_size=shard_size, start=2, format="asc")
    a, b = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert {f"{k}.asc" for k in range(2, 6)} <= set(b)
    for k in range(2, 6):
        assert a[f"{k}.asc"] == b[f"{k}.asc"]


def test_files_hold_what_sample_returns(generator, tmp_path):
    expected = generator.sample(7, seed=5, leads=12)
    for name in ("asc", "csv", "npy"):
        make(generator, tmp_path / name, format=name, leads=12)
    assert (np.concatenate([np.load(tmp_path / f"npy/{k:09d}.npy") for k in (0, 3, 6)]) == expected).all()
    for k in range(7):
        assert (expected[k] == np.loadtxt(tmp_path / f"asc/{k}.asc", dtype=int).T).all()
        header, *_ = (tmp_path / f"csv/{k}.csv").read_text().splitlines()
        assert header == "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
        assert (expected[k] == np.loadtxt(tmp_path / f"csv/{k}.csv", dtype=int, delimiter=",", skiprows=1).T).all()


def test_csv_with_time_column(generator, tmp_path):
    make(generator, tmp_path / "d", 2, format="csv", format_options={"time_column": True})
    text = (tmp_path / "d/1.csv").read_bytes()
    assert text.startswith(b"time_s,I,II,V1,V2,V3,V4,V5,V6\n0.000,") and b"\r" not in text
    table = np.loadtxt(tmp_path / "d/1.csv", delimiter=",", skiprows=1)
    assert (table[:, 0] == np.arange(5000) / 500).all()
    assert (generator.sample(1, seed=5, start=1)[0] == table[:, 1:].T).all()
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 2


def test_manifest_is_that_of_the_schema_and_tells_the_truth(generator, tmp_path, data):
    make(generator, tmp_path / "d", format="asc")
    make(generator, tmp_path / "npy", format="npy")
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    schema = Path(__file__).parent.parent / "docs/dataset.schema.json"
    jsonschema.validate(manifest, json.loads(schema.read_text()))
    assert [s["first"] for s in manifest["shards"]] == [0, 3, 6] and manifest["complete"]
    samples = generator.sample(7, seed=5)
    for shard in manifest["shards"]:
        names = [f"{k}.asc" for k in range(shard["first"], shard["first"] + shard["count"])]
        joined = b"".join((tmp_path / "d" / n).read_bytes() for n in names)
        assert shard["sha256"] == hashlib.sha256(joined).hexdigest() and shard["bytes"] == len(joined)
        array = tmp_path / f"npy/{shard['first']:09d}.npy"  # the digest is that of the array file, whatever the format
        assert (np.load(array) == samples[shard["first"] : shard["first"] + shard["count"]]).all()
        assert shard["samples_sha256"] == hashlib.sha256(array.read_bytes()).hexdigest()
    assert "ynthetic" in manifest["synthetic"] and "Scientific Reports" in manifest["citation"]
    assert manifest["weights_sha256"] == generator.info["weights_sha256"]


@pytest.mark.parametrize("format", FORMATS)
def test_finished_dataset_is_left_alone(generator, tmp_path, undisturbed, format):
    make(generator, tmp_path / "d", format=format)
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "d").iterdir()}
    system = RecordedSystem()
    assert make(generator, tmp_path / "d", format=format, system=system) is False
    assert not {name for name, _ in system.log} & {"create", "write", "rename"}
    assert times == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "d").iterdir()}


@pytest.mark.parametrize("format", ["asc", "npy"])
@pytest.mark.parametrize("damage", ["missing", "changed", "shorter"])
def test_finished_dataset_with_a_damaged_shard_is_mended(generator, tmp_path, undisturbed, format, damage):
    make(generator, tmp_path / "d", format=format)
    victim = tmp_path / "d" / ("4.asc" if format == "asc" else "000000003.npy")
    raw = bytearray(victim.read_bytes())
    raw[-5] ^= 1
    {"missing": victim.unlink, "changed": lambda: victim.write_bytes(raw), "shorter": lambda: os.truncate(victim, 99)}[
        damage
    ]()
    with pytest.raises(dsb_fast.VerificationError, match="shard 000000003"):
        verify.verify_dataset(str(tmp_path / "d"))
    assert make(generator, tmp_path / "d", format=format) is True
    assert tree(tmp_path / "d") == undisturbed[format]


@pytest.mark.parametrize("format", FORMATS)
def test_publishing_order(generator, tmp_path, format):
    """File sync, rename, directory sync, journal, shard after shard; the manifest last."""
    system = RecordedSystem()
    make(generator, tmp_path / "d", format=format, system=system)
    log = [
        (name, os.path.basename(str(t))) for name, t in system.log if name not in ("create", "write", "close", "append")
    ]

    def published(name):
        return [("sync_file", f".dsb-tmp-{name}"), ("rename", name), ("sync_directory", "d")]

    expected = [("make_directories", "d"), ("unlink", "dataset.journal")]
    expected += published("dataset.json") + published("dataset.journal")
    for shard in Plan(0, 7, 3):
        if format == "npy":
            expected += published(f"{shard.name}.npy")
        elif format != "dummy":
            files = [f"{shard.first + k}.{format}" for k in range(shard.count)]
            expected += [("sync_filesystem", log[len(expected)][1])]  # one sync a shard, not one a file
            expected += [("rename", name) for name in files] + [("sync_directory", "d")]
        expected += [("sync_file", "dataset.journal")]
    expected += [*published("dataset.json"), ("unlink", "dataset.journal"), ("sync_directory", "d")]
    assert log == expected


@pytest.mark.parametrize(("format", "after"), [*((name, False) for name in FORMATS), ("npy", True)])
def test_killed_at_every_call_and_started_again(tmp_path, format, after):
    generator, system = SignalGenerator(), Quick()
    make(generator, tmp_path / "count", format=format, system=system)
    undisturbed = tree(tmp_path / "count")
    calls = len(system.log)
    assert calls > 25
    for stop_at in range(calls):
        folder = tmp_path / f"{format}{stop_at}"
        killed = Quick(stop_at, Killed(), after)
        with pytest.raises(Killed):
            make(generator, folder, format=format, system=killed)
        make(generator, folder, format=format, system=Quick())
        assert tree(folder) == undisturbed, f"stopped at call {stop_at}: {killed.log[stop_at]}"


def test_torn_journal_is_read_as_far_as_it_is_whole(generator, tmp_path, undisturbed):
    folder = tmp_path / "d"
    with pytest.raises(Killed):
        make(generator, folder, system=RecordedSystem(40, Killed()))
    journal = folder / "dataset.journal"
    journal.write_bytes(journal.read_bytes() + b'{"name": "000000003.npy", "fir')
    make(generator, folder)
    assert tree(folder) == undisturbed["npy"]


def test_another_recipe_is_refused_with_what_differs(generator, tmp_path):
    make(generator, tmp_path / "d")
    before = tree(tmp_path / "d")
    for change, word in (({"seed": 6}, "seed was 5, now 6"), ({"count": 8}, "count"), ({"leads": 12}, "options"),
                         ({"start": 1}, "start"), ({"shard_size": 4}, "shard_size"),
                         ({"format": "asc"}, "format")):  # fmt: skip
        with pytest.raises(dsb_fast.DatasetError, match=word):
            make(generator, tmp_path / "d", **change)
    assert tree(tmp_path / "d") == before


def test_overwrite_replaces_the_dataset_and_leaves_foreign_files(generator, tmp_path, undisturbed):
    make(generator, tmp_path / "d", 9, format="asc", seed=1)
    (tmp_path / "d/notes.txt").write_text("mine")
    make(generator, tmp_path / "d", how={"overwrite": True})
    after = tree(tmp_path / "d")
    assert after.pop("notes.txt") == b"mine"
    assert after == undisturbed["npy"]


@pytest.mark.parametrize("present", ["notes.txt", "0.asc", ".hidden", "dataset.journal"])
def test_foreign_folder_is_refused(generator, tmp_path, present):
    (tmp_path / present).write_text("mine")
    with pytest.raises(dsb_fast.DatasetError, match="not empty"):
        make(generator, tmp_path, format="asc")
    assert tree(tmp_path) == {present: b"mine"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100000,
        '{"format_version": 1}',
        '{"format_version": 2}',
        '{"format_version": 2, "start": -1}',
    ],
)
def test_broken_manifest_is_refused_and_kept(generator, tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(dsb_fast.DatasetError, match=r"dataset\.json"):
        make(generator, tmp_path)
    with pytest.raises(dsb_fast.DatasetError):
        verify.verify_dataset(str(tmp_path))
    assert tree(tmp_path) == {"dataset.json": text.encode()}


def test_manifest_can_not_name_files_outside(generator, tmp_path):
    make(generator, tmp_path / "d", format="npy")
    path = tmp_path / "d/dataset.json"
    manifest = json.loads(path.read_text())
    for changed in ({"first": -9}, {"first": 1}, {"count": 10**12}, {"name": 5}):
        broken = json.loads(path.read_text())
        broken["shards"][0].update(changed)
        (tmp_path / "d2").mkdir(exist_ok=True)
        (tmp_path / "d2/dataset.json").write_text(json.dumps(broken))
        with pytest.raises(dsb_fast.DatasetError, match="shard 0"):
            verify.verify_dataset(str(tmp_path / "d2"))
    manifest["format"] = "../../etc/passwd"
    (tmp_path / "d2/dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(dsb_fast.DatasetError, match="format"):
        verify.verify_dataset(str(tmp_path / "d2"))


def test_two_on_one_folder(generator, tmp_path):
    inside, go_on = threading.Event(), threading.Event()

    def wait(done, of):
        inside.set()
        go_on.wait(30)

    worker = threading.Thread(target=lambda: make(generator, tmp_path / "d", how={"progress": wait}))
    worker.start()
    assert inside.wait(30)
    try:
        with pytest.raises(dsb_fast.DatasetError, match="another call in this process"):
            make(generator, tmp_path / "d")
    finally:
        go_on.set()
        worker.join()
    assert make(generator, tmp_path / "d") is False


def test_verify_makes_samples_again(generator, tmp_path):
    make(generator, tmp_path / "d", format="asc")
    assert verify.verify_dataset(str(tmp_path / "d"), sample=3) == {"shards": 3, "samples": 7, "made_again": 3}
    # Whole files of another seed under this manifest: the checksums fit once forged, the samples don't.
    make(generator, tmp_path / "e", format="asc", seed=6)
    forged = json.loads((tmp_path / "e/dataset.json").read_text())
    forged["seed"] = 5
    (tmp_path / "e/dataset.json").write_text(json.dumps(forged))
    assert verify.verify_dataset(str(tmp_path / "e"))["samples"] == 7
    with pytest.raises(dsb_fast.VerificationError, match="made again differs"):
        verify.verify_dataset(str(tmp_path / "e"), sample=2)


@pytest.mark.variant_independent
def test_plan_of_a_billion_is_made_when_asked_for():
    plan = Plan(5, 10**9, 256)
    assert len(plan) == 3906250 and plan[len(plan) - 1].first == 5 + 3906249 * 256
    assert plan[0].name == "000000005" and Plan(10**10, 1, 1)[0].name == "10000000000"
    assert sum(s.count for s in Plan(0, 1000, 33)) == 1000

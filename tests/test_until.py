"""--until N: the dataset of the first N samples that pass, whatever the run went through."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.recorded_system import Killed, RecordedSystem
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.regenerate import regenerate
from dsb_fast._bulk.until import refuse_fewer

pytestmark = pytest.mark.variant_independent

SEED, START, MOST = 5, 8, 40
RANGES = np.ptp(SignalGenerator().sample(MOST, SEED, START).astype(int), axis=2).max(axis=1)
LIMIT = int(np.median(RANGES))
TRIED = [k + 1 for k in range(MOST) if RANGES[k] <= LIMIT]  # up to the first that passes, the second, ...
KEEP = f"range_uv <= {LIMIT}"
FORMATS = ("asc", "wfdb", "npy", "parquet", "zarr")


class Quick(RecordedSystem):
    """Waits for no disk."""

    def _do(self, name, arguments, real):
        return None if name.startswith("sync") else super()._do(name, arguments, real)


def make(folder, count=MOST, until=None, *, format="npy", keep=KEEP, annotate=None, **how):
    """A small dataset in shards of three; whether anything was written."""
    generator = SignalGenerator()
    recipe, options, format_ = run.make_recipe(
        generator, count, SEED, START, format, shard_size=3, keep=keep, annotate=annotate
    )
    how = {"system": Quick(), "until": until, **how}
    return run.generate_dataset(generator, str(folder), recipe, options, format_, **how)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run has that is told how many to try."""
    made = {}

    def of(count, format="npy", annotate=None):
        key = count, format, bool(annotate)
        if key not in made:
            folder = tmp_path_factory.mktemp("whole") / "d"
            make(folder, count, format=format, annotate=annotate)
            made[key] = tree(folder)
        return made[key]

    return of


def test_about_half_pass():
    assert 15 < len(TRIED) < 25


@pytest.mark.parametrize("name", FORMATS)
@given(wanted=st.integers(1, len(TRIED)), batch_size=st.integers(1, 7), threads=st.integers(1, 3))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_first_that_pass_and_nothing_else(tmp_path_factory, whole, name, wanted, batch_size, threads):
    folder, seen = tmp_path_factory.mktemp("until") / "d", []
    assert make(folder, MOST, wanted, format=name, annotate=["noise_uv"], batch_size=batch_size, threads=threads,
                progress=lambda *now: seen.append(now))  # fmt: skip
    assert tree(folder) == whole(TRIED[wanted - 1], name, ["noise_uv"])
    manifest = json.loads((folder / "dataset.json").read_text())
    assert manifest["yield"] == {"tried": TRIED[wanted - 1], "kept": wanted} and "until" not in manifest
    assert seen == sorted(seen) and seen[-1][1] == wanted and verify.verify_dataset(str(folder))["samples"] == wanted
    before = tree(folder)
    assert not make(folder, MOST, wanted, format=name, annotate=["noise_uv"]) and tree(folder) == before


@pytest.mark.parametrize("name", ["asc", "npy"])
def test_killed_at_any_call_and_started_again_the_bytes_are_the_same(tmp_path, whole, name):
    log, wanted = Quick(), 5
    make(tmp_path / "log", MOST, wanted, format=name, system=log)
    expected = whole(TRIED[wanted - 1], name)
    for k in random.Random(1).sample(range(len(log.log)), min(25, len(log.log))):
        folder = tmp_path / f"{k}"
        with pytest.raises(Killed):
            make(folder, MOST, wanted, format=name, system=Quick(k, Killed(), after=k % 2))
        make(folder, MOST, wanted, format=name)
        assert tree(folder) == expected, (k, log.log[k])


def test_shards_that_other_workers_published_behind_the_end_go(tmp_path, whole):
    plain = tmp_path / "plain"
    make(plain, MOST, format="asc")
    manifest = {**json.loads(whole(TRIED[4], "asc")["dataset.json"]), "complete": False, "shards": [], "count": MOST}
    del manifest["yield"]
    (plain / "dataset.json").write_text(json.dumps(manifest))
    (plain / "notes.txt").write_text("mine")
    make(plain, MOST, 5, format="asc")
    assert tree(plain) == {**whole(TRIED[4], "asc"), "notes.txt": b"mine"}


def test_worker_processes(generator, tmp_path):
    keep = {"seed": 3, "format": "npy", "shard_size": 4, "keep": "beats > 11"}
    found = dsb_fast.generate_dataset(generator, 60, tmp_path / "d", until=9, workers=3, **keep)
    assert found["yield"]["kept"] == 9 and 9 < found["yield"]["tried"] < 60
    dsb_fast.generate_dataset(generator, found["yield"]["tried"], tmp_path / "whole", **keep)
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")


def test_workers_killed_and_gone_on_with_by_one_process(generator, tmp_path):
    keep = {"seed": 3, "format": "asc", "shard_size": 4, "keep": "beats > 11"}
    found = dsb_fast.generate_dataset(generator, 90, tmp_path / "whole", until=30, **keep)
    script = "import sys, dsb_fast; dsb_fast.generate_dataset('cardiovascular.ecg', 90, 'd', device='cpu', until=30, "
    script += f"workers=2, **{keep})"
    killed = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, start_new_session=True)
    end = time.monotonic() + 60
    while not list((tmp_path).glob("d/*.asc")) and time.monotonic() < end:
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    assert dsb_fast.generate_dataset(generator, 90, tmp_path / "d", until=30, **keep) == found
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")
    assert len(list((tmp_path / "d").glob("*.asc"))) == 30


def test_too_few_more_and_longer(tmp_path, whole):
    folder = tmp_path / "d"
    assert make(folder, 10, 9)
    assert tree(folder) == whole(10)
    manifest = json.loads((folder / "dataset.json").read_text())
    kept = sum(tried <= 10 for tried in TRIED)
    with pytest.raises(dsb_fast.GenerationError, match=rf"kept {kept} of 10 .* about {-(-90 // kept)} at this yield"):
        refuse_fewer("d", manifest, 9)
    assert not make(folder, 10, 9)  # nothing has changed
    assert make(folder, MOST, 9) and tree(folder) == whole(TRIED[8])
    with pytest.raises(dsb_fast.DatasetError, match="more than the 4 of --until"):
        make(folder, MOST, 4)
    assert tree(folder) == whole(TRIED[8])
    assert make(folder, MOST, 12) and tree(folder) == whole(TRIED[11])
    assert make(folder, MOST, extend=True) and tree(folder) == whole(MOST)


def test_a_dataset_that_tried_more_than_it_had_to_ends_where_it_should(tmp_path, whole):
    wanted = next(k for k in range(3, len(TRIED)) if TRIED[k] - TRIED[k - 1] > 1)  # rejected ones come after it
    make(tmp_path / "d", TRIED[wanted] - 1)
    for most in (TRIED[wanted] - 1, MOST):
        shutil.copytree(tmp_path / "d", tmp_path / f"{most}")
        assert make(tmp_path / f"{most}", most, wanted) and tree(tmp_path / f"{most}") == whole(TRIED[wanted - 1])


def test_damage_is_mended_and_it_can_be_made_again(tmp_path, whole, monkeypatch):
    folder = tmp_path / "d"
    make(folder, MOST, 7)
    last = sorted(folder.glob("*.npy"))[-1]
    for path in (folder / "000000011.npy", last):
        path.write_bytes(b"x")
        assert make(folder, MOST, 7) and tree(folder) == whole(TRIED[6])
    monkeypatch.setattr("dsb_fast._api.load", lambda *_, **__: SignalGenerator())
    assert "all with the manifest's bytes" in regenerate(str(folder), str(tmp_path / "again")).sentence()
    assert tree(tmp_path / "again") == whole(TRIED[6])
    make(folder, MOST, 2, overwrite=True)
    assert tree(folder) == whole(TRIED[1])


def test_command(command, one_line):
    often = ["generate", "cardiovascular.ecg", "-o", "d", "--device", "cpu", "--keep", "beats > 11", "--format", "npy"]
    said = one_line(command(*often, "-n", 8, "--until", 8), 1)
    assert "fewer than the 8 of --until" in said and "larger -n, of about" in said
    done = command(*often, "-n", 30, "--until", 8, check=0)
    assert "kept 8 of" in done.stderr
    assert "finished already" in command(*often, "-n", 30, "--until", 8, check=0).stderr


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"keep": None}, "no --keep"),
        ({"until": 0}, "until: 0"),
        ({"until": MOST + 1}, "number of samples to try, 40"),
        ({"part": "0/2"}, "a part"),
        ({"recipe_only": True}, "without samples"),
        ({"engine": "ray"}, "engine ray"),
        ({"output": "memory://x"}, "a store"),
    ],
)
def test_refused_before_anything_is_written(generator, tmp_path, how, said):
    how = {"output": tmp_path / "d", "keep": "beats > 11", "until": 3, "shard_size": 4, **how}
    with pytest.raises(dsb_fast.InputError, match=said) as raised:
        dsb_fast.generate_dataset(generator, MOST, **how)
    assert "\n" not in str(raised.value) and not Path(tmp_path / "d").exists()

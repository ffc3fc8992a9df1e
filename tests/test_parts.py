"""Parts of a dataset: however the plan is split, the same shards, and a folder that says what it is a part of."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tracemalloc
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import part, run, verify
from dsb_fast._bulk.plan import Plan
from dsb_fast._cli import generate

pytestmark = pytest.mark.variant_independent

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "docs/dataset.schema.json"


def recipe_of(count=20, *, format="npy", shard_size=3, start=0):
    return run.make_recipe(SignalGenerator(), count, 5, start, format, shard_size)


def make(folder, count=20, shards=None, *, format="npy", shard_size=3, start=0, **how):
    """A small dataset, or the part of it that ``shards`` (first, end) are."""
    recipe, options, format_ = recipe_of(count, format=format, shard_size=shard_size, start=start)
    recipe = part.part_recipe(recipe, *shards) if shards else recipe
    return run.generate_dataset(SignalGenerator(), str(folder), recipe, options, format_, **how)


@given(st.integers(0, 2**40), st.integers(1, 10**12), st.integers(1, 10**6), st.integers(1, 1000), st.data())
@settings(max_examples=200, deadline=None)
def test_parts_are_the_plan_and_nothing_else(start, count, shard_size, parts, data):
    recipe = {"start": start, "count": count, "shard_size": shard_size}
    plan = Plan.whole(recipe)
    if parts > plan.shards:
        with pytest.raises(dsb_fast.InputError, match="too few"):
            part.range_of_part(recipe, 0, parts)
        return
    ranges = [part.range_of_part(recipe, k, parts) for k in range(parts)]
    assert ranges[0][0] == 0 and ranges[-1][1] == plan.shards
    assert all(a[1] == b[0] for a, b in pairwise(ranges))
    sizes = {end - first for first, end in ranges}
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
    first, end = data.draw(st.sampled_from(ranges))
    own = Plan.of(part.part_recipe(recipe, first, end))
    assert own.shards == end - first
    for k in {0, data.draw(st.integers(0, own.shards - 1)), own.shards - 1}:
        assert own[k] == plan[first + k]


@given(st.integers(0, 100), st.integers(1, 300), st.integers(1, 20), st.data())
@settings(max_examples=200, deadline=None)
def test_any_split_has_every_shard_once_and_in_order(start, count, shard_size, data):
    recipe = {"start": start, "count": count, "shard_size": shard_size}
    plan = Plan.whole(recipe)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(plan.shards - 1, 1)))) & set(range(1, plan.shards)))
    ranges = zip([0, *cuts], [*cuts, plan.shards], strict=True)
    assert [shard for first, end in ranges for shard in Plan.of(part.part_recipe(recipe, first, end))] == list(plan)


@pytest.mark.parametrize("format", ["npy", "asc", "wfdb", "webdataset"])
def test_a_part_has_the_shards_of_one_run_and_says_which(tmp_path, format):
    make(tmp_path / "whole", format=format)
    make(tmp_path / "part", shards=(2, 5), format=format)
    whole, made = tree(tmp_path / "whole"), tree(tmp_path / "part")
    manifest, of = json.loads(made.pop("dataset.json")), json.loads(whole["dataset.json"])
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text()))
    assert manifest.pop("shard_range") == [2, 5]
    assert manifest == {**of, "shards": of["shards"][2:5]}
    assert "RECORDS" not in made  # that is of the whole
    assert made and all(whole[name] == data for name, data in made.items())
    found = verify.verify_dataset(str(tmp_path / "part"))
    assert (found["shards"], found["samples"], found["part"]) == (3, 9, "shards 2 to 4 of 0 to 6")
    assert "part" not in verify.verify_dataset(str(tmp_path / "whole"))
    assert make(tmp_path / "part", shards=(2, 5), format=format) is False


def test_all_shards_are_no_part(tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "b", shards=(0, 7))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_progress_of_a_part_is_of_the_part(tmp_path):
    seen = []
    make(tmp_path / "d", shards=(5, 7), progress=lambda *numbers: seen.append(numbers))
    assert seen[0] == (0, 5) and seen[-1] == (5, 5)


def test_two_parts_in_one_folder_are_refused_and_overwriting_one_leaves_what_is_not_its_own(tmp_path):
    make(tmp_path / "d", shards=(0, 2))
    before = tree(tmp_path / "d")
    for shards in ((2, 4), None):
        with pytest.raises(dsb_fast.DatasetError, match=r"shard_range was \[0, 2\]"):
            make(tmp_path / "d", shards=shards)
    assert tree(tmp_path / "d") == before
    (tmp_path / "d/000000006.npy").write_bytes(b"mine")
    (tmp_path / "d/99999999999999999999999.npy").write_bytes(b"mine")
    make(tmp_path / "d", shards=(4, 5), overwrite=True)
    assert sorted(os.listdir(tmp_path / "d")) == [
        "000000006.npy", "000000012.npy", "99999999999999999999999.npy", "dataset.json",
    ]  # fmt: skip


def test_a_part_is_extended_with_the_plan(tmp_path):
    make(tmp_path / "d", shards=(5, 7))
    make(tmp_path / "d", 30, shards=(5, 7), extend=True)
    make(tmp_path / "e", 30, shards=(5, 7))
    assert tree(tmp_path / "d") == tree(tmp_path / "e")


@pytest.mark.parametrize("found", [[0, 7], [0, 0], [3, 2], [-1, 2], [2, 8], [0], "0:2", None, [0, True], [0.0, 2], {}])
def test_a_manifest_with_another_range_is_refused(tmp_path, found):
    make(tmp_path / "d", shards=(0, 2))
    path = tmp_path / "d/dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "shard_range": found}))
    with pytest.raises(dsb_fast.DatasetError, match="shard_range"):
        verify.verify_dataset(str(tmp_path / "d"))


def test_counts_that_no_machine_has_are_refused_like_others(tmp_path):
    make(tmp_path / "d")
    path = tmp_path / "d/dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "count": 10**30, "shard_size": 1}))
    with pytest.raises(dsb_fast.DatasetError, match="shard 0"):
        verify.verify_dataset(str(tmp_path / "d"))


@pytest.fixture
def made_shards(monkeypatch):
    """The numbers of the shards that were made since."""
    made, real = [], Plan.__getitem__
    monkeypatch.setattr(Plan, "__getitem__", lambda self, k: (made.append(k), real(self, k))[1])
    return made


def peak_of(call) -> int:
    """Bytes of Python objects that ``call()`` had at once, at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_planning_a_billion_takes_no_memory_and_no_shards(tmp_path, made_shards):
    recipe, _, format_ = recipe_of(10**9, format="npy", shard_size=256)
    run.write_recipe(str(tmp_path / "warm"), recipe, format_)

    def plan():
        run.write_recipe(str(tmp_path / "recipe"), recipe, format_)
        run.write_recipe(str(tmp_path / "recipe"), recipe_of(10**12, shard_size=1)[0], format_, overwrite=True)
        for k in (0, 1234, 9999):
            part.part_recipe(recipe, *part.range_of_part(recipe, k, 10_000))

    assert peak_of(plan) < 1_000_000
    assert len(made_shards) < 5 and not any(made_shards)  # --overwrite asks what the first shard's files are called


@pytest.mark.parametrize("format", ["npy", "asc", "wfdb"])
def test_a_part_of_a_billion_makes_its_own_shards_alone(tmp_path, made_shards, format):
    shards = (3_906_248, 3_906_250)  # the last two of them, the last with 2 samples
    make(tmp_path / "warm", 6, format=format)
    made_shards.clear()
    peak = peak_of(lambda: make(tmp_path / "d", 10**9 - 254, shards, format=format, shard_size=256))
    assert len(made_shards) < 10 and peak < 20_000_000  # 258 ECGs are 250 kB, text and threads the rest
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 258
    make(tmp_path / "d", 10**9 - 254, shards, format="dummy", shard_size=256, overwrite=True)
    assert os.listdir(tmp_path / "d") == ["dataset.json"] and len(made_shards) < 40


def test_more_shards_than_a_manifest_holds_are_refused_before_work_begins(tmp_path):
    with pytest.raises(dsb_fast.InputError, match=r"3906250 shards are more .*--part"):
        make(tmp_path / "d", 10**9, shard_size=256)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("0/10", {}, (0, 10)),
        ("9/10", {"SLURM_ARRAY_TASK_ID": "3"}, (9, 10)),
        ("slurm/10", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MAX": "9"}, (3, 10)),
        # a task that is submitted once more, alone, makes what it would have made
        ("slurm/10", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "3",
                      "SLURM_ARRAY_TASK_COUNT": "1"}, (3, 10)),
        ("kubernetes/4", {"JOB_COMPLETION_INDEX": "0", "SLURM_ARRAY_TASK_ID": "x"}, (0, 4)),
    ],
)  # fmt: skip
def test_part_of_what_was_said_and_of_the_environment(text, environment, expected):
    assert part.parse_part(text, environment) == expected


@pytest.mark.parametrize(
    ("text", "environment", "word"),
    [
        ("10/10", {}, "no part 10"), ("0/0", {}, "0 parts"), ("1", {}, "K/N"), ("a/b", {}, "K/N"), ("-1/4", {}, "K/N"),
        ("1/4/2", {}, "K/N"), ("slurm", {}, "K/N"), ("0/99999999", {}, "parts"), ("١/4", {}, "K/N"),
        ("slurm/4", {}, "SLURM_ARRAY_TASK_ID is not set"),
        ("slurm/4", {"SLURM_ARRAY_TASK_ID": "4"}, "SLURM_ARRAY_TASK_ID is '4'"),
        ("slurm/4", {"SLURM_ARRAY_TASK_ID": ""}, "array=0-3"),
        # numbered from 1: no task begins, not even those whose numbers would do
        ("slurm/4", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MAX": "4"}, "SLURM_ARRAY_TASK_MAX is '4'"),
        ("kubernetes/4", {"SLURM_ARRAY_TASK_ID": "1"}, "JOB_COMPLETION_INDEX is not set"),
        ("kubernetes/4", {"JOB_COMPLETION_INDEX": "-1"}, "completions: 4"),
    ],
)  # fmt: skip
def test_wrong_parts_are_refused_in_one_line(text, environment, word):
    with pytest.raises(dsb_fast.InputError, match=word) as error:
        part.parse_part(text, environment)
    assert "\n" not in str(error.value)


def parts_of_example(words, environment):
    """The shards that an example's command makes, where ``environment`` says which of its jobs it is."""
    assert words[0] == "dsb-fast"
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    asked = parser.parse_args(words[2:])
    recipe = {"start": asked.start, "count": asked.count, "shard_size": 256}
    return asked.output, part.range_of_part(recipe, *part.parse_part(asked.part, environment))


def test_examples_make_every_shard_once(tmp_path):
    """The Slurm script by bash, the Kubernetes Job by its own words: ten jobs each, the whole plan, ten folders."""
    (tmp_path / "dsb-fast").write_text('#!/bin/sh\nprintf "%s\\n" dsb-fast "$@"\n')
    (tmp_path / "dsb-fast").chmod(0o755)
    slurm, kubernetes = [], []
    text = (ROOT / "examples/kubernetes.yaml").read_text()
    command = json.loads(re.search(r"command: (\[.*?\n +\])", text, re.S)[1])
    assert "completionMode: Indexed\n  completions: 10\n" in text
    assert "#SBATCH --array=0-9\n" in (ROOT / "examples/slurm.sh").read_text()
    for k in range(10):
        environment = {"SLURM_ARRAY_TASK_ID": str(k), "SLURM_ARRAY_TASK_MAX": "9", "JOB_COMPLETION_INDEX": str(k)}
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", ROOT / "examples/slurm.sh"], env={**environment, "PATH": path}, capture_output=True, text=True,
            check=True, cwd=tmp_path,
        )  # fmt: skip
        slurm.append(parts_of_example(done.stdout.splitlines(), environment))
        words = [word.replace("$(JOB_COMPLETION_INDEX)", str(k)) for word in command]
        kubernetes.append(parts_of_example(words, environment))
    for made in (slurm, kubernetes):
        assert len({folder for folder, _ in made}) == 10
        assert made[0][1][0] == 0 and made[-1][1][1] == 3907
        assert all(a[1][1] == b[1][0] for a, b in pairwise(made))


@pytest.mark.parametrize("text", ["2", "2:", ":2", "a:b", "-1:2", "1:2:3", ""])
def test_shard_ranges_that_are_none(text):
    with pytest.raises(dsb_fast.InputError, match="FIRST:END"):
        part.parse_shard_range(text)


@pytest.mark.parametrize("shards", [(2, 2), (3, 2), (6, 8), (7, 8)])
def test_shard_ranges_that_the_plan_does_not_have(shards):
    with pytest.raises(dsb_fast.InputError, match=f"shard_range: {shards[0]}:{shards[1]}; .* 7 shards"):
        part.part_recipe(recipe_of()[0], *shards)


def test_commands_make_parts_when_told_to_and_only_then(command, one_line, generator):
    words = ["generate", "cardiovascular.ecg", "-n", 10, "--shard-size", 2, "--format", "npy"]
    environment = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MAX": "2", "JOB_COMPLETION_INDEX": "1"}
    command(*words, "-o", "whole", env=environment, check=0)
    command(*words, "-o", "a", "--part", "slurm/3", env=environment, check=0)
    command(*words, "-o", "b", "--shard-range", "1:3", "--workers", 2, check=0)
    command(*words, "-o", "c", "--part", "1/3", "--recipe-only", check=0)
    done = command("regenerate", "c", "-o", "d", check=0)
    assert done.stdout == "d: 4 samples in 2 shards, from a recipe that has no checksums to compare\n"
    whole, *parts = (tree(command.folder / name) for name in ("whole", "a", "b", "d"))
    assert parts[0] == parts[1] == parts[2]
    assert sorted(parts[0]) == ["000000002.npy", "000000004.npy", "dataset.json"]
    assert parts[0]["000000004.npy"] == whole["000000004.npy"]
    said = command("verify", "a", "--sample", 2, check=0).stdout
    assert said == "a: 4 samples in 2 shards are whole, 2 made again; a part, shards 1 to 2 of 0 to 4\n"
    assert "5 shards" in one_line(command(*words, "-o", "no", "--shard-range", "3:6"), 2)
    assert "not allowed" in one_line(command(*words, "-o", "no", "--part", "0/2", "--shard-range", "0:1"), 2)
    assert not (command.folder / "no").exists()

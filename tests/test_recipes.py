"""Recipes: datasets in under 2 kB, made again from them, and made longer."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.recorded_system import Killed, Quick
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import regenerate, run, verify

pytestmark = pytest.mark.variant_independent


def make(generator, folder, count=7, *, format="npy", system=None, options=None, **how):
    """A small dataset in shards of three."""
    recipe, chosen, format_ = run.make_recipe(generator, count, seed=5, format=format, shard_size=3, **(options or {}))
    return run.generate_dataset(generator, str(folder), recipe, chosen, format_, system=system, **how)


def test_a_million_ecgs_in_a_recipe_under_2_kb(command):
    command("generate", "cardiovascular.ecg", "-n", 10**6, "-o", "million", "--recipe-only", "--format", "npy", check=0)
    done = command(
        "generate", "cardiovascular.ecg", "-n", 10**12, "-o", "more", "--leads", 12, "--recipe-only", check=0
    )
    assert done.stdout == ""
    for name, count in (("million", 10**6), ("more", 10**12)):
        folder = command.folder / name
        assert os.listdir(folder) == ["dataset.json"]
        assert (folder / "dataset.json").stat().st_size < 2000
        manifest = json.loads((folder / "dataset.json").read_text())
        assert manifest["count"] == count and manifest["shards"] == [] and not manifest["complete"]
    with pytest.raises(dsb_fast.VerificationError, match="recipe without samples"):
        verify.verify_dataset(str(command.folder / "more"))


@pytest.mark.parametrize("format", ["asc", "npy", "csv", "dummy"])
def test_a_recipe_makes_what_generate_makes(generator, tmp_path, format):
    recipe, options, format_ = run.make_recipe(generator, 7, seed=5, format=format, shard_size=3)
    run.write_recipe(str(tmp_path / "recipe"), recipe, format_)
    make(generator, tmp_path / "d", format=format)
    found = regenerate.regenerate(str(tmp_path / "recipe/dataset.json"), str(tmp_path / "again"))
    assert tree(tmp_path / "again") == tree(tmp_path / "d")
    assert not found.compared and found.samples == 7
    assert run.generate_dataset(generator, str(tmp_path / "recipe"), recipe, options, format_) is True
    assert tree(tmp_path / "recipe") == tree(tmp_path / "d")


def test_regenerate_compares_with_the_manifest(generator, tmp_path, command):
    make(generator, tmp_path / "d", format="csv", options={"leads": 12})
    done = command("regenerate", "d", "-o", "again", check=0)
    assert done.stdout == "again: 7 samples in 3 shards, all with the manifest's bytes\n"
    assert tree(tmp_path / "again") == tree(tmp_path / "d")
    path = tmp_path / "d/dataset.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][1] |= {"samples_sha256": "0" * 64, "sha256": "0" * 64}
    path.write_text(json.dumps(manifest))
    failed = command("regenerate", path, "-o", "third", check=1)
    assert "shard 000000003 has other samples" in failed.stderr and len(failed.stderr.splitlines()) == 1
    manifest["depends_on"] = {"arithmetic": "1"}  # made elsewhere, by another arithmetic: told, not refused
    path.write_text(json.dumps(manifest))
    done = command("regenerate", path, "-o", "fourth", check=0)
    assert "2 with its samples" in done.stdout and 'here depends_on was {"arithmetic": "1"}' in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"format": "../x"}, "format"),
        ({"format_options": {"no": 1}}, "no option"),
        ({"format_options": 5}, "another type"),
        ({"options": {"leads": 9}}, "leads"),
        ({"options": {"no": 1}}, "no option"),
        ({"sample_shape": [8, 1234]}, "length"),
        ({"lead_names": ["a"]}, "lead_names"),
        ({"weights_sha256": "0" * 64}, "other weights"),
        ({"model": "no.such"}, "model"),
        ({"shard_size": 10**9}, "shard_size"),
        ({"format_version": 1}, "format_version"),
        ({"precision": "fp8"}, "precision"),
    ],
)
def test_a_manifest_that_asks_for_something_else_is_refused(generator, tmp_path, change, message):
    recipe, _, format_ = run.make_recipe(generator, 7, seed=5, format="npy", shard_size=3)
    run.write_recipe(str(tmp_path / "recipe"), recipe, format_)
    path = tmp_path / "recipe/dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(dsb_fast.DsbError, match=message) as error:
        regenerate.regenerate(str(path), str(tmp_path / "again"))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "again").exists() or not os.listdir(tmp_path / "again")


def test_a_manifest_is_not_overwritten_by_what_it_describes(generator, tmp_path):
    make(generator, tmp_path / "d")
    before = tree(tmp_path / "d")
    with pytest.raises(dsb_fast.DatasetError, match="manifest itself"):
        regenerate.regenerate(str(tmp_path / "d"), str(tmp_path / "d/../d"), overwrite=True)
    assert regenerate.regenerate(str(tmp_path / "d"), str(tmp_path / "d")).same_bytes == 3
    assert tree(tmp_path / "d") == before
    with pytest.raises(dsb_fast.DatasetError, match="not there"):
        regenerate.regenerate(str(tmp_path / "nothing"), str(tmp_path / "e"))


@pytest.mark.parametrize("format", ["asc", "npy"])
@given(st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_extended_is_what_would_have_been_made_at_once(tmp_path_factory, format, first, more):
    generator, folder = SignalGenerator(), tmp_path_factory.mktemp("set")
    make(generator, folder / "d", first, format=format)
    assert make(generator, folder / "d", first + more, format=format, extend=True) is True
    make(generator, folder / "at once", first + more, format=format)
    assert tree(folder / "d") == tree(folder / "at once")
    assert make(generator, folder / "d", first + more, format=format, extend=True) is False


def test_extend_makes_only_what_is_missing(generator, tmp_path):
    make(generator, tmp_path / "d", 7)
    kept = {name: (tmp_path / "d" / name).stat().st_ino for name in ("000000000.npy", "000000003.npy")}
    seen = []
    make(generator, tmp_path / "d", 10, extend=True, progress=lambda done, of: seen.append((done, of)))
    assert seen[0] == (6, 10) and seen[-1] == (10, 10)
    assert kept == {name: (tmp_path / "d" / name).stat().st_ino for name in kept}


def test_without_extend_a_longer_recipe_is_refused_and_with_it_any_other(generator, tmp_path):
    make(generator, tmp_path / "d", 7)
    before = tree(tmp_path / "d")
    with pytest.raises(dsb_fast.DatasetError, match=r"count was 7, now 8.*--extend"):
        make(generator, tmp_path / "d", 8)
    with pytest.raises(dsb_fast.DatasetError, match=r"count was 7, now 6\); name another folder, or use --overwrite"):
        make(generator, tmp_path / "d", 6, extend=True)
    with pytest.raises(dsb_fast.DatasetError, match="options"):
        make(generator, tmp_path / "d", 8, extend=True, options={"leads": 12})
    assert tree(tmp_path / "d") == before


@pytest.mark.parametrize("format", ["asc", "npy"])
def test_killed_at_every_call_of_an_extension(tmp_path, format):
    """Whichever command comes next, the longer or the shorter one, nothing that was whole is lost."""
    generator = SignalGenerator()
    make(generator, tmp_path / "short", 4, format=format)
    make(generator, tmp_path / "long", 7, format=format)
    short, long = tree(tmp_path / "short"), tree(tmp_path / "long")
    system = Quick()
    shutil.copytree(tmp_path / "short", tmp_path / "count")
    make(generator, tmp_path / "count", 7, format=format, extend=True, system=system)
    for stop_at in range(len(system.log)):
        folder = tmp_path / f"{stop_at}"
        shutil.copytree(tmp_path / "short", folder)
        with pytest.raises(Killed):
            make(generator, folder, 7, format=format, extend=True, system=Quick(stop_at, Killed()))
        for name, data in short.items():
            if name not in ("dataset.json", "000000003.npy"):
                assert (folder / name).read_bytes() == data
        again = tmp_path / f"{stop_at}-again"
        shutil.copytree(folder, again)
        make(generator, again, 7, format=format, extend=True, system=Quick())
        assert tree(again) == long
        if json.loads((folder / "dataset.json").read_text())["count"] == 4:  # not begun: the old dataset is there
            assert make(generator, folder, 4, format=format) is False
            assert tree(folder) == short

"""Filtered and annotated datasets in stores: the bytes of a local run, gone on with, joined and replaced."""

from __future__ import annotations

import pytest
from references import faulty_store
from references.faulty_store import Faults, FaultyFileSystem, objects
from references.image_generator import ImageGenerator
from references.signal_generator import SignalGenerator
from references.trees import tree

from dsb_fast._bulk import part, regenerate, run, verify, writers
from dsb_fast._bulk.merge import merge

pytestmark = pytest.mark.variant_independent

URL = "faulty://bucket/some/dataset"
CASES = [(kind, name) for kind in (writers.SIGNAL, writers.IMAGE) for name in writers.names(kind)]
SOURCES = {writers.SIGNAL: SignalGenerator, writers.IMAGE: lambda: ImageGenerator(8)}
SELECTED = {
    writers.SIGNAL: {"keep": "noise_uv < 2520", "annotate": ["noise_uv", "range_uv"]},
    writers.IMAGE: {"keep": "mean_grey < 130", "annotate": ["mean_grey"]},
}


@pytest.fixture(autouse=True)
def _empty_store():
    faulty_store.register()
    faulty_store.clear()
    yield
    faulty_store.clear()


def make(place, kind=writers.SIGNAL, name="npy", count=9, shards=None, selected=True, **how):
    """A small dataset, or the part of it that ``shards`` are."""
    recipe = {"shard_size": 2, **(SELECTED[kind] if selected else {})}
    made, options, format_ = run.make_recipe(SOURCES[kind](), count, 3, format=name, **recipe)
    made = part.part_recipe(made, *shards) if shards else made
    return run.generate_dataset(SOURCES[kind](), str(place), made, options, format_, **how)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_format_has_the_bytes_of_a_local_run(tmp_path, kind, name):
    make(tmp_path / "d", kind, name)
    assert make(URL, kind, name)
    assert objects(URL) == tree(tmp_path / "d")
    found = verify.verify_dataset(URL)
    assert found == verify.verify_dataset(str(tmp_path / "d")) and 0 < found["samples"] < 9
    FaultyFileSystem.faults = Faults()
    assert not make(URL, kind, name)
    assert not [entry for entry in FaultyFileSystem.faults.log if entry[0] in ("put_file", "rm_file")]
    make(URL, kind, name, selected=False, overwrite=True)
    make(tmp_path / "plain", kind, name, selected=False)
    assert objects(URL) == tree(tmp_path / "plain")  # nothing of the filtered one is left


@pytest.mark.parametrize("name", ["npy", "wfdb", "zarr", "asc"])
def test_made_longer_and_joined_as_in_folders(tmp_path, name):
    make(tmp_path / "d", name=name)
    make(URL, name=name, count=5)
    make(URL, name=name, extend=True)
    assert objects(URL) == tree(tmp_path / "d")
    faulty_store.clear()
    parts = [f"faulty://bucket/part{k}" for k in (0, 1)]
    make(parts[0], name=name, shards=(0, 3))
    make(parts[1], name=name, shards=(3, 5))
    merge(parts[::-1], URL)
    assert objects(URL) == tree(tmp_path / "d")


def test_made_again_from_a_store(tmp_path, monkeypatch):
    monkeypatch.setattr("dsb_fast._api.load", lambda *_, **__: SignalGenerator())
    make(URL, name="parquet")
    found = regenerate.regenerate(URL, str(tmp_path / "d"))
    assert found.same_bytes == found.shards == 5 and "kept" in found.sentence()
    assert tree(tmp_path / "d") == objects(URL)

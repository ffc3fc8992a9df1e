"""Datasets in stores: the bytes of a local run, gone on with, refused, checked, joined and made again by URL."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import faulty_store
from references.faulty_store import Faults, FaultyFileSystem, objects
from references.image_generator import ImageGenerator
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import part, places, read, regenerate, retry, run, spool, store_folder, verify, writers
from dsb_fast._bulk import store as store_module
from dsb_fast._bulk.merge import merge
from dsb_fast._bulk.store import Store

pytestmark = pytest.mark.variant_independent

CASES = [(kind, name) for kind in (writers.SIGNAL, writers.IMAGE) for name in writers.names(kind)]
URL = "faulty://bucket/some/dataset"


@pytest.fixture(autouse=True)
def _empty_store():
    faulty_store.register()
    faulty_store.clear()
    yield
    faulty_store.clear()


def make(place, name="npy", count=5, kind=writers.SIGNAL, shards=None, seed=3, **how):
    """A small dataset, or the part of it that ``shards`` are."""
    generator = SignalGenerator() if kind == writers.SIGNAL else ImageGenerator(8)
    recipe, options, format_ = run.make_recipe(generator, count, seed, format=name, shard_size=2)
    recipe = part.part_recipe(recipe, *shards) if shards else recipe
    return run.generate_dataset(generator, str(place), recipe, options, format_, **how)


def store():
    """Objects as their bytes, by whole path."""
    return FaultyFileSystem()


def writes(call):
    """What ``call()`` wrote and removed."""
    FaultyFileSystem.faults = Faults()
    call()
    return [entry for entry in FaultyFileSystem.faults.log if entry[0] in ("put_file", "rm_file")]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_format_has_the_bytes_of_a_local_run(tmp_path, kind, name):
    make(tmp_path / "d", name, kind=kind)
    assert make(URL, name, kind=kind)
    assert objects(URL) == tree(tmp_path / "d")
    assert verify.verify_dataset(URL) == {"shards": 3, "samples": 5, "made_again": 0}
    assert writes(lambda: make(URL, name, kind=kind)) == []
    assert not make(URL, name, kind=kind)


def test_the_manifest_comes_last_and_a_record_after_its_shard(monkeypatch):
    monkeypatch.setattr(store_folder, "_SHARDS_AT_ONCE", 1)
    names = [os.path.relpath(key, "/bucket/some/dataset") for _, key in writes(lambda: make(URL))]
    assert names[:9] == [
        "dataset.journal/recipe.jsonl", "dataset.json",
        "000000000.npy", "dataset.journal/000000000.jsonl",
        "000000002.npy", "dataset.journal/000000002.jsonl",
        "000000004.npy", "dataset.journal/000000004.jsonl",
        "dataset.json",
    ]  # fmt: skip
    assert sorted(names[9:]) == sorted(name for name in names[:9] if "journal" in name)


@pytest.mark.parametrize("spoil", ["gone", "shorter", "index"])
def test_a_finished_dataset_that_lacks_something_is_mended(tmp_path, spoil):
    make(tmp_path / "d", "wfdb")
    make(URL, "wfdb")
    root = "/bucket/some/dataset"
    if spoil == "gone":
        store().rm_file(f"{root}/3.dat")
    else:
        store().pipe_file(f"{root}/3.dat" if spoil == "shorter" else f"{root}/RECORDS", b"short")
    with pytest.raises(dsb_fast.VerificationError, match=r"faulty://bucket.*(shard 000000002|RECORDS)"):
        verify.verify_dataset(URL)
    written = [os.path.basename(key) for name, key in writes(lambda: make(URL, "wfdb")) if name == "put_file"]
    assert ("3.dat" in written) == (spoil != "index") and "0.dat" not in written
    assert objects(URL) == tree(tmp_path / "d")


def test_other_bytes_of_the_same_size_are_what_verify_is_for():
    make(URL)
    key = "/bucket/some/dataset/000000002.npy"
    data = store().cat_file(key)
    store().pipe_file(key, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(dsb_fast.VerificationError, match=r"shard 000000002[.]npy does not have the recorded bytes"):
        verify.verify_dataset(URL)


def test_foreign_content_and_other_recipes_are_refused_and_left_alone():
    store().pipe_file("/bucket/some/dataset/notes.txt", b"mine")
    with pytest.raises(dsb_fast.DatasetError, match=r"has 'notes[.]txt'"):
        make(URL)
    assert objects(URL) == {"notes.txt": b"mine"}
    make(URL, overwrite=True)
    before = objects(URL)
    with pytest.raises(dsb_fast.DatasetError, match="seed was 3, now 4"):
        make(URL, seed=4)
    assert objects(URL) == before and before["notes.txt"] == b"mine"
    store().pipe_file("/bucket/some/dataset/dataset.json", b"{")
    with pytest.raises(dsb_fast.DatasetError, match=r"dataset\.json: damaged"):
        make(URL)


def test_another_dataset_beside_it_is_none_of_its_business(tmp_path):
    make("faulty://bucket/some/dataset2")
    make("faulty://bucket/some/dataset", seed=4)
    make("faulty://bucket/some/dataset", "asc", overwrite=True)
    make(tmp_path / "d")
    assert objects("faulty://bucket/some/dataset2") == tree(tmp_path / "d")


def test_a_torn_or_strange_journal_is_shards_made_again(tmp_path):
    make(tmp_path / "d")
    make(URL)
    whole = objects(URL)
    manifest = json.loads(whole["dataset.json"])
    root = "/bucket/some/dataset"
    for data in (b"", b"{}", b"[" * 100_000, b'{"recipe": "other"}\n{"first": 0}\n', b"\xff\n"):
        store().pipe_file(f"{root}/dataset.json", json.dumps({**manifest, "complete": False, "shards": []}).encode())
        store().pipe_file(f"{root}/dataset.journal/000000000.jsonl", data)
        make(URL)
        assert objects(URL) == tree(tmp_path / "d")


def test_extend_and_recipes(tmp_path):
    make(tmp_path / "d", count=5)
    make(URL, count=3)
    with pytest.raises(dsb_fast.DatasetError, match="--extend"):
        make(URL, count=5)
    written = writes(lambda: make(URL, count=5, extend=True))
    assert ("put_file", "/bucket/some/dataset/000000000.npy") not in written
    assert objects(URL) == tree(tmp_path / "d")
    recipe, _, format_ = run.make_recipe(SignalGenerator(), 5, 3, format="npy", shard_size=2)
    run.write_recipe("faulty://bucket/recipe", recipe, format_)
    assert list(objects("faulty://bucket/recipe")) == ["dataset.json"]
    with pytest.raises(dsb_fast.VerificationError, match="a recipe without samples"):
        verify.verify_dataset("faulty://bucket/recipe")
    make("faulty://bucket/recipe")
    assert objects("faulty://bucket/recipe") == tree(tmp_path / "d")


@pytest.mark.parametrize("name", ["npy", "wfdb", "zarr", "dummy"])
@pytest.mark.parametrize("there", ["parts", "result", "both"])
def test_parts_are_joined_from_and_in_a_store(tmp_path, name, there):
    make(tmp_path / "whole", name)
    bases = [str(tmp_path / "part") if there == "result" else "faulty://bucket/part"] * 2
    bases[0] = str(tmp_path / "first") if there == "parts" else bases[0]  # one here, one there
    places_of = [f"{base}-{k}" for k, base in enumerate(bases)]
    for place, shards in zip(places_of, [(0, 1), (1, 3)], strict=True):
        make(place, name, shards=shards)
    result = str(tmp_path / "d") if there == "parts" else URL
    done = merge(places_of, result)
    assert done.copied == (0 if name == "dummy" else 2 if there == "parts" else 3)
    assert (tree(tmp_path / "d") if there == "parts" else objects(URL)) == tree(tmp_path / "whole")
    assert merge(places_of, result) is None
    with pytest.raises(dsb_fast.InputError, match="--move"):
        merge(places_of, result, move=True)


def test_a_damaged_part_in_a_store_is_named():
    for k, shards in enumerate([(0, 1), (1, 3)]):
        make(f"faulty://bucket/part-{k}", shards=shards)
    store().pipe_file("/bucket/part-1/000000002.npy", b"damaged")
    with pytest.raises(dsb_fast.VerificationError, match=r"^faulty://bucket/part-1: shard 000000002[.]npy does"):
        merge(["faulty://bucket/part-0", "faulty://bucket/part-1"], URL)
    store().rm_file("/bucket/part-1/000000002.npy")
    with pytest.raises(dsb_fast.VerificationError, match=r"^faulty://bucket/part-1: shard 000000002[.]npy has missing"):
        merge(["faulty://bucket/part-0", "faulty://bucket/part-1"], URL)
    make("faulty://bucket/part-1", shards=(1, 3))
    merge(["faulty://bucket/part-0", "faulty://bucket/part-1"], URL)
    assert verify.verify_dataset(URL)["samples"] == 5


def test_regenerate_and_verify_samples_by_url(generator, tmp_path):
    recipe, options, format_ = run.make_recipe(generator, 3, 1, format="asc", shard_size=2)
    run.generate_dataset(generator, URL, recipe, options, format_)
    assert verify.verify_dataset(URL, sample=2)["made_again"] == 2
    for path, place in ((URL, "faulty://bucket/again"), (f"{URL}/dataset.json", str(tmp_path / "d"))):
        assert regenerate.regenerate(path, place, "cpu").same_bytes == 2
    assert objects(URL) == objects("faulty://bucket/again") == tree(tmp_path / "d")
    with pytest.raises(dsb_fast.DatasetError, match="--overwrite would remove the manifest itself"):
        regenerate.regenerate(URL, URL, "cpu", overwrite=True)
    with pytest.raises(dsb_fast.DatasetError, match="not there"):
        regenerate.regenerate("faulty://bucket/nothing", str(tmp_path / "e"))


def test_a_sheet_of_images_by_url():
    make(URL, "png", kind=writers.IMAGE)
    assert read.sheet(URL, 4, nrow=2).shape[2] in (3, 4)


def test_file_urls_are_folders(tmp_path):
    make(tmp_path / "d")
    make(f"file://{tmp_path}/a%20b")
    make(f"LOCAL://{tmp_path}/c")
    assert tree(tmp_path / "a b") == tree(tmp_path / "c") == tree(tmp_path / "d")
    for url in ("file://there/d", "file://"):
        with pytest.raises(dsb_fast.DatasetError, match="no absolute path"):
            make(url)


@given(st.text(max_size=30))
@settings(max_examples=200)
def test_what_is_a_url_is_a_scheme_and_no_path(text):
    assert not places.is_url("/" + text) and not places.is_url("./" + text)
    assert places.is_url("s3://" + text) and places.is_url("simplecache::gs://" + text)


@pytest.mark.parametrize(
    ("url", "hidden", "words"),
    [
        ("s3://bucket/d", "fsspec.core", r"pip install 'dsb-fast\[stores\]'"),
        ("s3://bucket/d", "s3fs", "needs a package of its own, such as s3fs"),
        ("gs://bucket/d", "gcsfs", "needs a package of its own"),
    ],
)
def test_what_is_not_installed_is_named(monkeypatch, url, hidden, words):
    monkeypatch.setitem(sys.modules, hidden, None)
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, "s3", raising=False)
    with pytest.raises(dsb_fast.MissingDependencyError, match=words) as caught:
        make(url)
    assert "\n" not in str(caught.value) and caught.value.exit_status == 2


def test_a_protocol_that_nobody_knows():
    with pytest.raises(dsb_fast.DatasetError, match=r"^nosuch://bucket/d: .*nosuch"):
        make("nosuch://bucket/d")


def test_memory_is_of_one_process(generator):
    recipe, options, format_ = run.make_recipe(generator, 3, 1, format="asc", shard_size=2)
    with pytest.raises(dsb_fast.InputError, match="memory://d is in the memory of one process"):
        run.generate_dataset(generator, "memory://d", recipe, options, format_, workers=2)


def test_spools_are_removed_also_those_that_a_kill_left(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make(URL)
    assert list(tmp_path.iterdir()) == []
    left = tmp_path / "dsb-fast-spool-left"
    (left / "inner").mkdir(parents=True)
    (tmp_path / "dsb-fast-spool-link").symlink_to("/")
    young, held = tmp_path / "dsb-fast-spool-young", spool.Spool()
    young.mkdir()
    old = time.time() - 3600
    for path in (left, held.folder):
        os.utime(path, (old, old))
    make(URL, overwrite=True)
    assert not left.exists() and young.exists() and os.path.isdir(held.folder)
    held.close()
    assert not os.path.exists(held.folder)


def test_two_on_one_url(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spool, "WAIT_S", 0.1)
    recipe, _, format_ = run.make_recipe(SignalGenerator(), 3, 1, format="asc", shard_size=2)
    with places.open_dataset(f"{URL}/", recipe, format_), places.open_dataset(f"{URL}2", recipe, format_):
        with pytest.raises(dsb_fast.DatasetError, match="another call in this process is working on it") as raised:
            make(URL)
        assert URL in str(raised.value) and "\n" not in str(raised.value)
        store_folder.StoreFolder(URL, recipe).close()  # of a worker's or a task's
    make(URL, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_a_multipart_upload_is_no_object(monkeypatch):
    """What S3 calls the checksum of an object uploaded in parts, against its own words: md5 of the parts' md5s."""
    data = bytes(range(256)) * 100
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        parts = b"".join(hashlib.md5(data[k : k + 10_000]).digest() for k in range(0, len(data), 10_000))
        right = {"ETag": f'"{hashlib.md5(parts).hexdigest()}-3"'}
        assert store_module._checksum_proves(right, file.name, 10_000)
        assert not store_module._checksum_proves(right, file.name, 20_000)  # of other parts
        assert store_module._checksum_proves({"ETag": hashlib.md5(data).hexdigest().upper()}, file.name, 1)
        assert not store_module._checksum_proves({"ETag": "0" * 32}, file.name, 1)
        assert not store_module._checksum_proves({"ETag": "opaque"}, file.name, 1)
        assert not store_module._checksum_proves({}, file.name, 1)


def test_names_and_sizes_of_a_store():
    bucket = Store("faulty://bucket/")
    bucket.put("a/b.txt", b"12345")
    bucket.put("c.txt", b"")
    assert bucket.sizes() == {"a/b.txt": 5, "c.txt": 0} and bucket.sizes("a") == {"a/b.txt": 5}
    assert bucket.names() == ["a", "c.txt"]
    assert (bucket.size("a/b.txt"), bucket.size("a"), bucket.size("none")) == (5, None, None)
    assert (bucket.read("a/b.txt"), bucket.read("none"), bucket.read("c.txt")) == (b"12345", None, b"")
    bucket.remove(["a/b.txt", "none", "c.txt"])
    assert bucket.sizes() == {}


def test_the_command_writes_to_a_url_and_loads_fsspec_only_then(tmp_path):
    """In one process, as the store is its memory; what a folder needs is not slower for it."""
    program = """
import sys
from dsb_fast._cli import main
common = ["generate", "cardiovascular.ecg", "-n", "2", "--device", "cpu", "--quiet", "--format", "npy", "-o"]
assert main([*common, "folder"]) == 0
assert "fsspec" not in sys.modules and "dsb_fast._bulk.store" not in sys.modules
assert main([*common, "memory://bucket/d"]) == 0
assert main(["verify", "memory://bucket/d"]) == 0
import fsspec
assert fsspec.filesystem("memory").cat("/bucket/d/dataset.json") == open("folder/dataset.json", "rb").read()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "memory://bucket/d: 2 samples in 1 shards are whole\n"


@pytest.fixture
def site(tmp_path):
    """A web server of ``tmp_path`` / site; its address."""
    (tmp_path / "site").mkdir()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_a_web_server_has_is_checked_joined_and_made_again(generator, tmp_path, site, monkeypatch):
    monkeypatch.setattr(retry, "sleep", lambda *_: None)
    recipe, options, format_ = run.make_recipe(generator, 3, 1, format="wfdb", shard_size=2)
    run.generate_dataset(generator, str(tmp_path / "site" / "d"), recipe, options, format_)
    expected = tree(tmp_path / "site" / "d")
    assert verify.verify_dataset(f"{site}/d", sample=2)["made_again"] == 2
    assert regenerate.regenerate(f"{site}/d/dataset.json", str(tmp_path / "again"), "cpu").same_bytes == 2
    for k in range(2):
        made = part.part_recipe(recipe, k, k + 1)
        run.generate_dataset(generator, str(tmp_path / "site" / f"part-{k}"), made, options, format_)
    assert merge([f"{site}/part-1", f"{site}/part-0"], str(tmp_path / "joined")).copied == 2
    assert tree(tmp_path / "again") == tree(tmp_path / "joined") == expected
    with pytest.raises(dsb_fast.DatasetError, match="not there"):
        regenerate.regenerate(f"{site}/nothing", str(tmp_path / "nothing"))
    with pytest.raises(dsb_fast.GenerationError, match=f"^{site}/new") as caught:
        run.generate_dataset(generator, f"{site}/new", recipe, options, format_)
    assert "\n" not in str(caught.value)
    (tmp_path / "site" / "d" / "1.dat").write_bytes(b"")
    with pytest.raises(dsb_fast.VerificationError, match="shard 000000000 does not have the recorded bytes"):
        verify.verify_dataset(f"{site}/d")

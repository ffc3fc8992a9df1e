"""What ``zarr``, ``edf`` and ``dicom`` have in common: the same bytes however made, and no damage that goes unseen."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.image_generator import ImageGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.regenerate import regenerate
from dsb_fast._bulk.writers import FormatContext, find
from dsb_fast.leads import LEADS_8, LEADS_12

pytestmark = pytest.mark.variant_independent

SEED = 5
FORMATS = ["zarr", "edf", "dicom"]
PACKAGES = {"edf": "edfio", "dicom": "pydicom"}
ABOUT = {"model": "m", "title": "Ångström \\ ~~~ 心\n" + "long " * 100, "citation": "x" * 3000, "seed": 2**64 - 1,
         "weights_sha256": "ab" * 32, "start": 3, "shard_size": 3}  # fmt: skip


def make(source, folder, count=7, *, format, shard_size=3, how=None, **recipe):
    """A small dataset in ``folder``."""
    description, options, format_ = run.make_recipe(source, count, SEED, format=format, shard_size=shard_size, **recipe)
    return run.generate_dataset(source, str(folder), description, options, format_, **(how or {}))


def small(name: str, shape=(2, 50), rate=500.0, **about):
    """The format for small samples, whose shards begin at number 3 and have 3 of them."""
    return find(name)(FormatContext(shape, "int16", LEADS_12[: shape[0]], rate, about={**ABOUT, **about}))


def files_of(format_, samples, first=3) -> list[bytes]:
    """The files of a shard."""
    if format_.file_per_sample:
        return [bytes(memoryview(data).cast("B")) for data in format_.encode(samples, first)]
    parts = format_.join(Shard(first, len(samples)), [format_.encode(samples, first)])
    return [b"".join(bytes(memoryview(part).cast("B")) for part in parts)]


def decoded(format_, files, shard) -> np.ndarray:
    return np.stack(list(format_.decode(map(io.BytesIO, files), shard)))


@pytest.mark.parametrize("leads", [8, 12])
@pytest.mark.parametrize("format", FORMATS)
def test_verify_makes_samples_again_and_the_manifest_is_that_of_the_schema(generator, tmp_path, format, leads):
    make(generator, tmp_path / "d", format=format, start=4, leads=leads)
    assert verify.verify_dataset(str(tmp_path / "d"), sample=7) == {"shards": 3, "samples": 7, "made_again": 7}
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    schema = Path(__file__).parent.parent / "docs/dataset.schema.json"
    jsonschema.validate(manifest, json.loads(schema.read_text()))
    assert list(manifest["encoder"]) == ["words"] and manifest["encoder"]["words"].isalnum()
    assert manifest["lead_names"] == list(LEADS_8 if leads == 8 else LEADS_12)
    assert make(generator, tmp_path / "d", format=format, start=4, leads=leads) is False


@pytest.mark.parametrize("format", FORMATS)
@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_size_and_threads_do_not_change_bytes(generator, tmp_path_factory, format, batch_size, threads):
    folder = tmp_path_factory.mktemp("set")
    make(generator, folder / "a", format=format)
    make(generator, folder / "b", format=format, how={"batch_size": batch_size, "threads": threads})
    assert tree(folder / "a") == tree(folder / "b")


@pytest.mark.parametrize("format", FORMATS)
def test_extended_and_made_by_workers_is_what_one_long_run_writes(generator, tmp_path, format):
    make(generator, tmp_path / "long", format=format)
    make(generator, tmp_path / "d", 5, format=format)
    make(generator, tmp_path / "d", 7, format=format, how={"extend": True, "workers": 2})
    assert tree(tmp_path / "d") == tree(tmp_path / "long")


@pytest.mark.parametrize("format", FORMATS)
def test_regenerated_from_the_manifest(generator, tmp_path, format):
    make(generator, tmp_path / "d", format=format)
    regenerate(str(tmp_path / "d/dataset.json"), str(tmp_path / "e"))
    assert tree(tmp_path / "d") == tree(tmp_path / "e")


@pytest.mark.parametrize("format", ["edf", "dicom"])
def test_the_file_of_a_sample_is_the_same_in_every_dataset_of_its_recipe(generator, tmp_path, format):
    make(generator, tmp_path / "d", 12, format=format)
    make(generator, tmp_path / "e", 4, format=format, start=8, shard_size=2)
    suffix = find(format).suffixes[0]
    for number in range(8, 12):
        assert (tmp_path / f"d/{number}{suffix}").read_bytes() == (tmp_path / f"e/{number}{suffix}").read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_overwriting_leaves_nothing_but_foreign_files(generator, tmp_path, format):
    for foreign in (False, True):
        make(generator, tmp_path / "d", format=format, how={"overwrite": True})
        if foreign:
            (tmp_path / "d/own.txt").write_text("x")
        make(generator, tmp_path / "d", 2, format="npy", how={"overwrite": True})
        left = {"000000000.npy", "dataset.json"} | ({"own.txt"} if foreign else set())
        assert {path.name for path in (tmp_path / "d").iterdir()} == left


_ANEW = """
import hashlib, time, numpy
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.writers import FormatContext, find
time.time = lambda: 2e9
about = {"model": "m", "seed": 2**64 - 1, "options": {"b": 1, "a": 2}}
for name in ("zarr", "edf", "dicom"):
    format_ = find(name)(FormatContext((2, 50), "int16", ("I", "II"), 500.0, about=about))
    signal = numpy.arange(700, dtype=numpy.int16).reshape(7, 2, 50)
    parts = format_.join(Shard(0, 7), [format_.encode(signal)])
    print(format_.encoder, hashlib.sha256(b"".join(bytes(memoryview(part).cast("B")) for part in parts)).hexdigest())
"""


def test_another_process_user_and_time_write_the_same_bytes(tmp_path):
    seen = set()
    for zone, user in (("UTC", "a"), ("Asia/Tokyo", "b")):
        env = {**os.environ, "TZ": zone, "USER": user, "HOME": str(tmp_path), "PYTHONHASHSEED": str(len(zone))}
        done = subprocess.run([sys.executable, "-c", _ANEW], env=env, cwd=tmp_path, capture_output=True, check=True)
        seen.add(done.stdout)
    assert len(seen) == 1 and len(seen.pop().splitlines()) == 3


@pytest.mark.parametrize("format", FORMATS)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 10**12), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_any_values_and_numbers_come_back(format, leads, length, first, seed):
    samples = np.random.default_rng(seed).integers(-32768, 32768, (3, leads, length)).astype(np.int16)
    format_ = small(format, (leads, length), start=first)
    files = files_of(format_, samples, first)
    assert (decoded(format_, files, Shard(first, 3)) == samples).all()
    if format_.file_per_sample:
        assert files == [files_of(format_, samples[k : k + 1], first + k)[0] for k in range(3)]
        assert (format_.decode_one(map(io.BytesIO, files[2:]), Shard(first + 2, 1), 0) == samples[2]).all()
    else:
        assert (format_.decode_one(map(io.BytesIO, files), Shard(first, 3), 2) == samples[2]).all()


@pytest.mark.parametrize("format", FORMATS)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_files_raise_nothing_but_value_errors(format, data):
    format_, samples = small(format), np.arange(300, dtype=np.int16).reshape(3, 2, 50)
    files = [bytearray(file) for file in files_of(format_, samples)]
    victim = files[data.draw(st.integers(0, len(files) - 1))]
    begins = st.one_of(st.integers(0, len(victim) - 1), st.integers(0, min(len(victim), 700) - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        victim[data.draw(begins)] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del victim[data.draw(st.integers(0, len(victim))) :]
    try:
        assert decoded(format_, files, Shard(3, 3)).shape == samples.shape
    except ValueError as error:
        assert "\n" not in str(error) and str(error)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("damage", ["missing", "shorter", "longer", "flipped", "another sample's", "twelve leads'"])
def test_verify_finds_damage_and_the_same_run_mends_it(generator, tmp_path, format, damage):
    """In the checksums; and, where they have been forged, in what is decoded."""
    make(generator, tmp_path / "d", format=format)
    whole, folder = tree(tmp_path / "d"), tmp_path / "d"
    manifest = json.loads(whole["dataset.json"])
    format_ = find(format)(FormatContext.of(manifest))
    names = format_.file_names(Shard(3, 3))
    victim = folder / names[-1]
    raw = bytearray(victim.read_bytes())
    victim.unlink()
    if damage == "another sample's":
        victim.write_bytes(whole[format_.file_names(Shard(0, 3))[-1]])
    elif damage == "twelve leads'":
        make(generator, tmp_path / "e", format=format, leads=12)
        victim.write_bytes((tmp_path / "e" / names[-1]).read_bytes())
    elif damage != "missing":
        raw[-1000] ^= damage == "flipped"
        victim.write_bytes({"shorter": raw[:-1], "longer": raw + b"\0"}.get(damage, raw))
    with pytest.raises(dsb_fast.VerificationError, match=r"shard .* (missing files|recorded bytes)") as caught:
        verify.verify_dataset(str(folder))
    assert "\n" not in str(caught.value)
    if damage != "missing":
        data = b"".join((folder / name).read_bytes() for name in names)
        manifest["shards"][1] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (folder / "dataset.json").write_text(json.dumps(manifest))
        with pytest.raises(dsb_fast.VerificationError, match=r"decoded|recorded samples") as caught:
            verify.verify_dataset(str(folder))
        assert "\n" not in str(caught.value)
        (folder / "dataset.json").write_bytes(whole["dataset.json"])
    assert make(generator, folder, format=format) is True
    assert tree(folder) == whole


@pytest.mark.parametrize("format", FORMATS)
def test_a_manifest_of_huge_samples_takes_no_memory(format):
    """The file's size is compared first."""
    import resource

    about = {**ABOUT, "shard_size": 10**12}
    format_ = find(format)(FormatContext((8, 9_000_000), "int16", LEADS_8, 500.0, about=about))
    file = files_of(small(format), np.zeros((3, 2, 50), np.int16))[0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"bytes|early"):
        decoded(format_, [file], Shard(3, 1))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB; one such sample has 144 MB


@pytest.mark.parametrize("format", FORMATS)
def test_what_they_cannot_hold_is_refused_in_one_line(tmp_path, format):
    with pytest.raises(dsb_fast.InputError, match="can't hold images"):
        make(ImageGenerator(), tmp_path / "d", format=format)
    for shape, dtype in (((2, 50), "float32"), ((50,), "int16"), ((2, 0), "int16")):
        with pytest.raises(dsb_fast.InputError, match=f"format {format}: samples are") as caught:
            find(format)(FormatContext(shape, dtype, LEADS_12[: shape[0]], 500.0))
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("format", PACKAGES)
def test_missing_package_is_named_with_the_extra_that_brings_it(generator, tmp_path, monkeypatch, format):
    monkeypatch.setattr("dsb_fast._bulk.writers.base.find_spec", lambda name: None)
    with pytest.raises(dsb_fast.MissingDependencyError) as caught:
        make(generator, tmp_path / "d", format=format)
    assert str(caught.value) == f"format {format} needs {PACKAGES[format]}; pip install 'dsb-fast[formats]'"
    assert not (tmp_path / "d").exists()

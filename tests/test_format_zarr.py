"""``zarr``: a folder that package zarr opens as one array, and what the specification says of its files."""

from __future__ import annotations

import io
import json
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.recorded_system import RecordedSystem
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.plan import Plan, Shard
from dsb_fast._bulk.writers import FormatContext, find
from dsb_fast._bulk.writers.zarr import _crc32c
from dsb_fast.leads import LEADS_8, LEADS_12

pytestmark = pytest.mark.variant_independent

SEED = 5


def make(source, folder, count=7, *, shard_size=3, how=None, **recipe):
    """A small dataset in ``folder``."""
    description, options, format_ = run.make_recipe(source, count, SEED, format="zarr", shard_size=shard_size, **recipe)
    return run.generate_dataset(source, str(folder), description, options, format_, **(how or {}))


@pytest.fixture
def zarr():
    """Package zarr, none of whose warnings is let pass."""
    if sys.version_info < (3, 11):
        pytest.skip("the zarr of Python 3.10 reads no shards")
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield zarr


@pytest.mark.parametrize("leads", [8, 12])
@pytest.mark.parametrize(("count", "shard_size"), [(7, 3), (6, 3), (2, 256)])
def test_package_zarr_opens_one_array_of_what_sample_returns(generator, tmp_path, zarr, leads, count, shard_size):
    make(generator, tmp_path / "d", count, start=4, leads=leads, shard_size=shard_size)
    expected = generator.sample(count, SEED, 4, leads=leads)
    group = zarr.open(str(tmp_path / "d"), mode="r")
    assert [name for name, _ in group.members()] == ["signal_uv"]
    array = group["signal_uv"]
    assert array.dtype == np.int16 and array.shape == expected.shape and (array[:] == expected).all()
    assert (array[count - 1] == expected[-1]).all() and (array[:, 1, 10:20] == expected[:, 1, 10:20]).all()
    assert array.chunks == (1, leads, 5000) and array.shards == (shard_size, leads, 5000)
    assert array.metadata.dimension_names == ("sample", "lead", "time")
    assert array.attrs["lead_names"] == list(LEADS_8 if leads == 8 else LEADS_12)
    assert array.attrs["unit"] == "microvolt" and array.attrs["sampling_rate_hz"] == 500
    assert (zarr.open_array(str(tmp_path / "d/signal_uv"), mode="r")[:] == expected).all()  # not by way of the group
    loose = zarr.open_group(str(tmp_path / "d"), mode="r", use_consolidated=False)
    assert loose["signal_uv"].metadata == array.metadata


def test_group_says_that_it_is_synthetic_and_what_made_it(generator, tmp_path, zarr):
    make(generator, tmp_path, 1, start=9)
    said = dict(zarr.open(str(tmp_path), mode="r").attrs)
    assert "ynthetic" in said["synthetic"] and said["seed"] == SEED and said["start"] == 9
    for name in ("model", "title", "licence", "citation", "weights_sha256"):
        assert said[name] == generator.info[name]


def test_package_zarr_would_have_written_the_same_shards(generator, tmp_path, zarr):
    """With an empty chunk written where there is none, it has one shard more than a sample."""
    make(generator, tmp_path / "d")
    samples = generator.sample(7, SEED)
    own = zarr.create_array(
        str(tmp_path / "own"), shape=samples.shape, dtype="int16", chunks=(1, 8, 5000), shards=(3, 8, 5000),
        compressors=None, chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=("sample", "lead", "time"),
    )  # fmt: skip
    own[:] = samples
    ours, theirs = tree(tmp_path / "d/signal_uv"), tree(tmp_path / "own")
    assert sorted(ours) == sorted(theirs)
    for name in ("c.0.0.0", "c.1.0.0", "c.2.0.0"):
        assert ours[name] == theirs[name]
    mine, other = json.loads(ours["zarr.json"]), json.loads(theirs["zarr.json"])
    assert {**mine, "attributes": {}} == {**other, "attributes": {}}


def test_a_longer_dataset_opens_as_a_longer_array(generator, tmp_path, zarr):
    make(generator, tmp_path, 4)
    short = zarr.open(str(tmp_path), mode="r")["signal_uv"]
    make(generator, tmp_path, 7, how={"extend": True})
    assert short.shape[0] == 4 and zarr.open(str(tmp_path), mode="r")["signal_uv"].shape[0] == 7
    assert (short[:] == generator.sample(4, SEED)).all()


@pytest.mark.parametrize("name", ["zarr.json", "signal_uv/zarr.json"])
@pytest.mark.parametrize("damage", ["missing", "changed", "longer"])
def test_a_damaged_description_is_found_and_mended(generator, tmp_path, name, damage):
    make(generator, tmp_path)
    whole = tree(tmp_path)
    (tmp_path / name).unlink()
    if damage != "missing":
        text = whole[name].replace(b"5000", b"5001") if damage == "changed" else whole[name] + b" "
        (tmp_path / name).write_bytes(text)
    with pytest.raises(dsb_fast.VerificationError, match=r"index signal_uv/zarr\.json, zarr\.json is not that"):
        verify.verify_dataset(str(tmp_path))
    assert make(generator, tmp_path) is True
    assert tree(tmp_path) == whole


def test_words_of_another_version_are_verified(generator, tmp_path):
    """The index is compared with what the manifest says, not with today's words."""
    make(generator, tmp_path)
    for name in ("dataset.json", "zarr.json"):
        text = (tmp_path / name).read_text()
        assert text.count("Synthetic data: made by") == 1
        (tmp_path / name).write_text(text.replace("Synthetic data: made by", "Synthetic data made by"))
    assert verify.verify_dataset(str(tmp_path))["samples"] == 7


def of(shape=(2, 8), start=0, shard_size=4):
    """The format for small samples."""
    about = {"start": start, "shard_size": shard_size}
    return find("zarr")(FormatContext(shape, "int16", LEADS_12[: shape[0]], 500.0, about=about))


def whole(format_, samples, first=0) -> bytes:
    """A shard's file."""
    parts = format_.join(Shard(first, len(samples)), [format_.encode(samples, first)])
    return b"".join(bytes(memoryview(part).cast("B")) for part in parts)


def test_a_shard_is_what_the_specification_says():
    """Chunks in their order, then begin and size of each, all ones where there is none, and a CRC-32C."""
    samples = np.arange(3 * 16, dtype=np.int16).reshape(3, 2, 8)
    data = whole(of(), samples)
    assert data[:96] == samples.astype("<i2").tobytes() and len(data) == 96 + 4 * 16 + 4
    assert np.frombuffer(data[96:-4], "<u8").tolist() == [0, 32, 32, 32, 64, 32, 2**64 - 1, 2**64 - 1]
    assert int.from_bytes(data[-4:], "little") == _crc32c(data[96:-4])


def test_crc_has_the_known_answers():
    """RFC 3720, appendix B.4, and the check value of the CRC catalogue."""
    assert _crc32c(b"123456789") == 0xE3069283
    assert _crc32c(bytes(32)) == 0x8A9136AA and _crc32c(b"\xff" * 32) == 0x62A8AB43
    assert _crc32c(bytes(range(32))) == 0x46DD794E


@given(st.integers(0, 10**15), st.integers(1, 10**6), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_names_are_those_of_the_chunk_grid(start, shard_size, k):
    plan = Plan(start, (k + 1) * shard_size, shard_size)
    assert of(start=start, shard_size=shard_size).file_names(plan[k]) == [f"signal_uv/c.{k}.0.0"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda b: b[:-1], "bytes"),
        (lambda b: b + b"\0", "bytes"),
        (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "elsewhere"),
        (lambda b: b[:96] + bytes([1]) + b[97:], "elsewhere"),
    ],
)
def test_shards_of_others_are_not_decoded(change, word):
    data = change(whole(of(), np.zeros((3, 2, 8), np.int16)))
    with pytest.raises(ValueError, match=word):
        list(of().decode([io.BytesIO(data)], Shard(0, 3)))


def test_a_link_in_place_of_the_arrays_folder_is_not_followed(generator, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    make(generator, tmp_path / "d", 2)
    (elsewhere / "c.0.0.0").write_bytes(b"not ours")
    for path in (tmp_path / "d/signal_uv").iterdir():
        path.unlink()
    (tmp_path / "d/signal_uv").rmdir()
    (tmp_path / "d/signal_uv").symlink_to(elsewhere)
    with pytest.raises(dsb_fast.GenerationError, match="is a link"):
        make(generator, tmp_path / "d", 2)
    with pytest.raises(dsb_fast.GenerationError, match="is a link"):
        make(generator, tmp_path / "d", 2, how={"overwrite": True})
    assert tree(elsewhere) == {"c.0.0.0": b"not ours"}


def test_names_are_on_the_disk_before_the_journal_has_them_and_descriptions_come_last(generator, tmp_path):
    system, folder, inner = RecordedSystem(), str(tmp_path / "d"), str(tmp_path / "d/signal_uv")
    make(generator, folder, 4, how={"system": system})
    calls = [call for call in system.log if call[0] in ("rename", "sync_directory", "sync_file", "make_directories")]
    for k in range(2):
        at = calls.index(("rename", f"{inner}/c.{k}.0.0"))
        assert calls[at - 1] == ("make_directories", inner)
        assert calls[at - 2] == ("sync_file", f"{folder}/.dsb-tmp-signal_uv-c.{k}.0.0")
        assert calls[at + 1 : at + 4] == [
            ("sync_directory", inner), ("sync_directory", folder), ("sync_file", f"{folder}/dataset.journal")
        ]  # fmt: skip
    renamed = [target for name, target in calls if name == "rename"]
    assert renamed[-3:] == [f"{inner}/zarr.json", f"{folder}/zarr.json", f"{folder}/dataset.json"]


def test_written_without_package_zarr(generator, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    make(generator, tmp_path, 2)
    assert verify.verify_dataset(str(tmp_path), sample=2)["samples"] == 2

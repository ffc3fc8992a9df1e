"""Format stylegan-zip: what a StyleGAN loader needs, the bytes of zipfile, large archives, damage found."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from references.image_generator import ImageGenerator
from references.recorded_system import Killed, Quick
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.writers import FormatContext
from dsb_fast._bulk.writers.stored_zip import StoredZip
from dsb_fast._bulk.writers.stylegan_zip import StyleganZipFormat

pytestmark = pytest.mark.variant_independent

SEED = 5


def make(folder, count=7, *, generator=None, shard_size=None, start=0, how=None, format="stylegan-zip", **given):
    """A small dataset in ``folder``."""
    generator = generator or ImageGenerator()
    recipe, chosen, format_ = run.make_recipe(generator, count, SEED, start, format, shard_size, given)
    return run.generate_dataset(generator, str(folder), recipe, chosen, format_, **(how or {}))


def loaded(path) -> tuple[np.ndarray, list | None]:
    """Images and labels as a loader of such archives takes them: every image by name, labels from dataset.json."""
    Image.init()
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n[n.rfind(".") :].lower() in Image.EXTENSION)
        images = np.stack([np.asarray(Image.open(archive.open(name))) for name in names])
        labels = json.loads(archive.read("dataset.json"))["labels"]
    if labels is not None:
        by_name = dict(labels)
        assert set(by_name) == set(names)
        labels = [by_name[name] for name in names]
    return images, labels


@pytest.mark.parametrize("start", [0, 995])
def test_an_archive_holds_what_sample_returns(tmp_path, start):
    make(tmp_path / "d", start=start)
    path = tmp_path / f"d/{start:09d}.zip"
    assert sorted(tree(tmp_path / "d")) == [path.name, "dataset.json"]
    images, labels = loaded(path)
    assert (images == ImageGenerator().sample(7, SEED, start)).all() and labels is None
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        numbers = [f"{k:08d}" for k in range(start, start + 7)]
        assert archive.namelist() == [*(f"{n[:5]}/img{n}.png" for n in numbers), "dataset.json"]
        for info in archive.infolist():
            assert (info.compress_type, info.flag_bits, info.date_time) == (
                zipfile.ZIP_STORED,
                0,
                (1980, 1, 1, 0, 0, 0),
            )
        about = json.loads(archive.read("dataset.json"))["dsb_fast"]
    assert (about["model"], about["seed"], about["licence"]) == ("digestive.gitract", SEED, "MIT")
    assert "ynthetic" in about["synthetic"] and about["weights_sha256"] == "ab" * 32


def test_the_docs_read_it_so(tmp_path):
    make(tmp_path)
    text = (Path(__file__).parent.parent / "docs/formats.md").read_text().partition("## stylegan-zip")[2]
    found = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1].replace("DIR", str(tmp_path)), found)
    assert (np.stack(found["images"]) == ImageGenerator().sample(7, SEED)).all()


def test_pictures_are_not_compressed_unless_asked_for(tmp_path):
    make(tmp_path / "d")
    with zipfile.ZipFile(tmp_path / "d/000000000.zip") as archive:
        plain = archive.read("00000/img00000006.png")
    at = plain.index(b"IDAT")
    assert b"trainedAlgorithmicMedia" in plain and int.from_bytes(plain[at - 4 : at], "big") > 16 * (1 + 16 * 3)
    for options in ({"compress_level": 6}, {"compress_level": 6, "synthetic_mark": False}):
        folder = tmp_path / str(len(options))
        make(folder / "zip", **options)
        make(folder / "png", format="png", **options)
        with zipfile.ZipFile(folder / "zip/000000000.zip") as archive:
            for k in range(7):
                assert archive.read(f"00000/img{k:08d}.png") == (folder / f"png/{k}.png").read_bytes()


class Labelled(ImageGenerator):
    """A stand-in for a conditional network with one label."""

    def __init__(self, label):
        super().__init__()
        context = self.model.context
        self.model.context = lambda options: {**context(options), "options": {"truncation": 1.0, "label": label}}


@pytest.mark.parametrize(("label", "expected"), [(2, [2] * 7), (0, [0] * 7), (None, None)])
def test_a_fixed_label_is_that_of_every_image(tmp_path, label, expected):
    make(tmp_path / "d", generator=Labelled(label), start=5)
    assert loaded(tmp_path / "d/000000005.zip")[1] == expected
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 7


def with_zipfile(files: list[tuple[str, bytes]]) -> bytes:
    """The archive that the standard library makes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    return stream.getvalue()


@pytest.mark.parametrize("shard_size", [3, 100])
def test_the_bytes_are_those_of_zipfile(tmp_path, shard_size):
    make(tmp_path / "d", shard_size=shard_size)
    for path in (tmp_path / "d").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            files = [(name, archive.read(name)) for name in archive.namelist()]
        assert path.read_bytes() == with_zipfile(files)


def format_of(label=None) -> StyleganZipFormat:
    """The format of 8 x 8 images."""
    about = {"model": "a.b", "seed": 1, "options": {"label": label}}
    return StyleganZipFormat(FormatContext((8, 8, 3), "uint8", about=about))


@pytest.mark.parametrize("count", [65534, 65535, 70_000])  # images; dataset.json is one file more
def test_more_files_than_sixteen_bits_count(count):
    png = b"tiny"
    whole = b"".join(format_of(3).join(Shard(99_990_000, count), [[(zlib.crc32(png), png)] * count]))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        names = archive.namelist()
        assert len(names) == count + 1 and archive.read(names[-2]) == png
        labels = json.loads(archive.read("dataset.json"))["labels"]
        assert len(labels) == count and labels[-1] == [names[-2], 3]
    assert names[0] == "99990/img99990000.png" and (b"PK\6\6" in whole) == (count >= 65535)
    if count == 65535:
        assert whole == with_zipfile([(name, png) for name in names[:-1]] + [("dataset.json", _labels(whole))])


def _labels(whole: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return archive.read("dataset.json")


def test_more_than_four_gigabytes(tmp_path):
    """A file of holes: 100 large pieces of zeros between small ones, read back by zipfile."""
    zeros, path = bytes(50_000_000), tmp_path / "large.zip"
    crc = zlib.crc32(zeros)
    parts = [[(crc, zeros), (zlib.crc32(b"%d" % k), b"%d" % k)] for k in range(100)]
    with open(path, "wb") as file:
        for piece in format_of().join(Shard(0, 200), parts):
            file.write(piece[:60_000])
            file.seek(max(len(piece) - 60_000, 0), io.SEEK_CUR)
    assert path.stat().st_size > 1 << 32
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 201 and json.loads(archive.read("dataset.json"))["labels"] is None
        offsets = [info.header_offset for info in archive.infolist()]
        assert sum(offset > 1 << 32 for offset in offsets) > 20
        for k in (0, 41, 43, 84, 86, 99):  # on both sides of 2 GiB and of 4 GiB
            assert archive.read(f"00000/img{2 * k + 1:08d}.png") == b"%d" % k


def test_memory_is_a_line_of_the_directory_a_file():
    archive = StoredZip()
    for k in range(1000):
        archive.header(f"00000/img{k:08d}.png", 50_000_000, 0)
    directory, end = archive.end()
    assert len(directory) / 1000 < 100 and len(end) < 120


@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_size_and_threads_do_not_change_bytes(tmp_path_factory, batch_size, threads):
    folder = tmp_path_factory.mktemp("set")
    make(folder / "a")
    make(folder / "b", how={"batch_size": batch_size, "threads": threads})
    assert tree(folder / "a") == tree(folder / "b")


@pytest.mark.parametrize("shard_size", [None, 4])
def test_killed_at_every_call_and_started_again(tmp_path, shard_size):
    system = Quick()
    make(tmp_path / "whole", shard_size=shard_size, how={"system": system})
    assert len(system.log) > 25
    for stop_at in range(len(system.log)):
        folder = tmp_path / f"d{stop_at}"
        with pytest.raises(Killed):
            make(folder, shard_size=shard_size, how={"system": Quick(stop_at, Killed())})
        make(folder, shard_size=shard_size, how={"system": Quick()})
        assert tree(folder) == tree(tmp_path / "whole"), f"stopped at call {stop_at}"


@pytest.mark.parametrize("shard_size", [None, 3])
def test_extended_equals_made_at_once(tmp_path, shard_size):
    make(tmp_path / "a", 5, shard_size=shard_size)
    make(tmp_path / "a", 7, shard_size=shard_size, how={"extend": True})
    make(tmp_path / "b", 7, shard_size=shard_size)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_verify_makes_samples_again_and_finds_damage(tmp_path, monkeypatch):
    monkeypatch.setattr("dsb_fast._api.load", lambda *_, **__: ImageGenerator())
    make(tmp_path / "d")
    assert verify.verify_dataset(str(tmp_path / "d"), sample=7) == {"shards": 1, "samples": 7, "made_again": 7}
    path = tmp_path / "d/000000000.zip"
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:3000], whole[:900] + bytes([whole[900] ^ 1]) + whole[901:], b""):
        path.write_bytes(damaged)
        with pytest.raises(dsb_fast.VerificationError, match="shard 000000000") as caught:
            verify.verify_dataset(str(tmp_path / "d"))
        assert "\n" not in str(caught.value)
    assert make(tmp_path / "d") is True
    assert path.read_bytes() == whole


def test_one_sample_is_read_without_decoding_those_before_it(monkeypatch):
    format_, shard = format_of(), Shard(995, 10)
    samples = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
    whole = b"".join(format_.join(shard, [format_.encode(samples, 995)]))
    decoded, real = [], type(format_._png).decode
    monkeypatch.setattr(type(format_._png), "decode", lambda *a: decoded.append(1) or real(*a))
    for k in (0, 5, 9):
        assert (format_.decode_one([io.BytesIO(whole)], shard, k) == samples[k]).all()
    assert len(decoded) == 3
    assert (np.stack(list(format_.decode([io.BytesIO(whole)], shard))) == samples).all()


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_other_bytes_give_the_samples_or_a_value_error(data):
    format_, shard = format_of(1), Shard(9, 2)
    samples = np.zeros((2, 8, 8, 3), np.uint8)
    whole = b"".join(format_.join(shard, [format_.encode(samples, 9)]))
    broken = bytearray(whole)
    places = st.one_of(st.integers(0, len(whole) - 1), st.integers(len(whole) - 600, len(whole) - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(places)] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(whole), len(whole), len(whole) - 22, 40, 1]))
    try:
        decoded = list(format_.decode([io.BytesIO(bytes(broken[:end]))], shard))
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert np.stack(decoded).shape == samples.shape and bytes(broken[:end]) == whole


def test_foreign_archives_are_refused():
    format_, shard = format_of(), Shard(0, 1)
    png = format_.encode(np.zeros((1, 8, 8, 3), np.uint8))[0][1]
    name, labels = "00000/img00000000.png", b'{"labels": null}'
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(10**6))
    for data, words in (
        (with_zipfile([("../../evil.png", png), ("dataset.json", labels)]), "another file where 00000/img"),
        (with_zipfile([(name, bytes(10**6)), ("dataset.json", labels)]), "at most"),
        (deflated.getvalue(), "not stored"), (with_zipfile([(name, b"GIF89a")]), "is no png image"),
        (with_zipfile([(name, png), ("dataset.json", b'{"labels": []}')]), "other labels"),
        (with_zipfile([(name, png), ("dataset.json", labels + b"x")]), "Extra data"),
        (with_zipfile([(name, png), ("dataset.json", labels[:-1] + b', "a": ' + b"[" * 60000)]), "damaged"),
        (with_zipfile([(name, png), ("x.json", labels)]), "another file where dataset"),
        (with_zipfile([(name, png), ("dataset.json", labels), ("more", b"")]), "directory"),
        (with_zipfile([(name, png), ("dataset.json", labels)]) + b"more", "after its end"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            list(format_.decode([io.BytesIO(data)], shard))
    own = with_zipfile([(name, png), ("dataset.json", labels[:-1] + b', "dsb_fast": {"synthetic": "other words"}}')])
    assert not next(format_.decode([io.BytesIO(own)], shard)).any() and list(format_.decode([io.BytesIO(own)], shard))


@pytest.mark.parametrize("shape", [(16, 32, 3), (24, 24, 3), (16, 16, 4), (0, 0, 3), (16, 16)])
def test_what_a_loader_can_not_take_is_refused(shape):
    words = "transparent" if shape[-1] == 4 else "squares"
    with pytest.raises(dsb_fast.InputError, match=words) as caught:
        StyleganZipFormat(FormatContext(shape, "uint8"))
    assert "\n" not in str(caught.value)


def test_wrong_requests_leave_nothing(generator, tmp_path):
    for options, word in (({"compress_level": 10}, "compress_level"), ({"grid": 2}, "no option is called grid"),
                          ({"synthetic_mark": 1}, "true or false")):  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match=word):
            make(tmp_path / "d", **options)
    with pytest.raises(dsb_fast.InputError, match="can't hold ECGs"):
        run.make_recipe(generator, 1, format="stylegan-zip")
    assert not (tmp_path / "d").exists()

"""Datasets of images: what the files hold, sheets, kill and resume, verify. The model is a stand-in."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from references.image_generator import ImageGenerator
from references.recorded_system import Killed, Quick
from references.trees import tree

import dsb_fast
from dsb_fast import _images
from dsb_fast._bulk import read, run, verify

FORMATS = ["png", "jpg", "webp", "npy", "dummy"]
SEED = 5


def make(folder, count=7, *, generator=None, format=None, shard_size=4, how=None, system=None, **format_options):
    """A small dataset in ``folder``."""
    generator = generator or ImageGenerator()
    recipe, options, format_ = run.make_recipe(
        generator, count, SEED, format=format, shard_size=shard_size, format_options=format_options
    )
    return run.generate_dataset(generator, str(folder), recipe, options, format_, system=system, **(how or {}))


def pixels(data: bytes) -> np.ndarray:
    """What Pillow shows."""
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened)


@pytest.fixture
def loads(monkeypatch):
    """``dsb_fast.load`` gives the stand-in; returns the arguments of its calls."""
    calls = []

    def load(*arguments, **settings):
        calls.append((arguments, settings))
        return loads.generator

    loads = type("Loads", (list,), {"generator": ImageGenerator()})(calls)
    monkeypatch.setattr("dsb_fast._api.load", load)
    return loads


@pytest.mark.parametrize("channels", [3, 4])
def test_files_hold_what_sample_returns(tmp_path, channels):
    generator = ImageGenerator(channels=channels)
    expected = generator.sample(7, SEED)
    for format in ("png", "webp", "npy"):
        make(tmp_path / format, generator=generator, format=format)
    assert make(tmp_path / "default", generator=generator) is True
    assert tree(tmp_path / "default") == tree(tmp_path / "png")
    assert sorted(tree(tmp_path / "png")) == [*(f"{k}.png" for k in range(7)), "dataset.json"]
    for k in range(7):
        assert (pixels((tmp_path / f"png/{k}.png").read_bytes()) == expected[k]).all()
        assert (pixels((tmp_path / f"webp/{k}.webp").read_bytes()) == expected[k]).all()
    stored = np.concatenate([np.load(tmp_path / f"npy/{k:09d}.npy") for k in (0, 4)])
    assert stored.dtype == np.uint8 and (stored == expected).all()


def test_manifest_is_that_of_the_schema_and_has_nothing_of_ecgs(tmp_path):
    schema = json.loads((Path(__file__).parent.parent / "docs/dataset.schema.json").read_text())
    for format in FORMATS:
        make(tmp_path / format, format=format)
        manifest = json.loads((tmp_path / format / "dataset.json").read_text())
        jsonschema.validate(manifest, schema)
        assert not {"lead_names", "sampling_rate_hz", "scale", "scale_unit"} & set(manifest)
        assert manifest["unit"] == "grey level" and manifest["channels"] == ["red", "green", "blue"]
        assert manifest["sample_shape"] == [16, 16, 3] and manifest["sample_dtype"] == "uint8"
        make(tmp_path / f"{format}-npy", format="npy")
        array = (tmp_path / f"{format}-npy/000000000.npy").read_bytes()  # the samples' digest, whatever the format
        assert array.endswith(ImageGenerator().sample(4, SEED).tobytes())
        assert manifest["shards"][0]["samples_sha256"] == hashlib.sha256(array).hexdigest()
        assert ("encoder" in manifest) == (format in ("png", "jpg", "webp"))


@pytest.mark.parametrize(("format", "options"), [("png", {}), ("jpg", {}), ("webp", {}), ("png", {"grid": 2})])
@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_size_and_threads_do_not_change_bytes(tmp_path_factory, format, options, batch_size, threads):
    folder = tmp_path_factory.mktemp("set")
    make(folder / "a", format=format, **options)
    make(folder / "b", format=format, how={"batch_size": batch_size, "threads": threads}, **options)
    assert tree(folder / "a") == tree(folder / "b")


def test_sheets_killed_at_every_call_and_started_again(tmp_path):
    """Formats without sheets: tests/test_faults.py."""
    system = Quick()
    make(tmp_path / "whole", format="png", system=system, grid=2)
    for stop_at in range(len(system.log)):
        folder = tmp_path / f"d{stop_at}"
        with pytest.raises(Killed):
            make(folder, format="png", system=Quick(stop_at, Killed()), grid=2)
        make(folder, format="png", system=Quick(), grid=2)
        assert tree(folder) == tree(tmp_path / "whole"), f"stopped at call {stop_at}"


@pytest.mark.parametrize(("format", "channels"), [("png", 3), ("png", 4), ("webp", 3), ("jpg", 3)])
def test_grid_is_a_sheet_of_consecutive_samples(tmp_path, format, channels):
    """11 images, 2 x 2 a sheet: sheets 0, 4 and 8, the last with an empty place."""
    generator = ImageGenerator(channels=channels)
    expected = generator.sample(11, SEED)
    make(tmp_path / "d", 11, generator=generator, format=format, shard_size=8, grid=2)
    assert sorted(tree(tmp_path / "d")) == [f"0.{format}", f"4.{format}", f"8.{format}", "dataset.json"]
    for first in (0, 4, 8):
        full = np.zeros((4, 16, 16, channels), np.uint8)
        full[: len(expected[first : first + 4])] = expected[first : first + 4]
        sheet = pixels((tmp_path / f"d/{first}.{format}").read_bytes()).astype(int)
        assert sheet.shape == (38, 38, channels)
        assert np.abs(sheet - _images.make_grid(full, 2)).max() <= (40 if format == "jpg" else 0)
    assert verify.verify_dataset(str(tmp_path / "d")) == {"shards": 2, "samples": 11, "made_again": 0}


def test_single_equals_grid_cell(tmp_path):
    make(tmp_path / "single", 6, shard_size=4)
    make(tmp_path / "sheets", 6, shard_size=None, grid=2)
    assert json.loads((tmp_path / "sheets/dataset.json").read_text())["shard_size"] == 256
    sheet = pixels((tmp_path / "sheets/4.png").read_bytes())
    assert (sheet[2:18, 20:36] == pixels((tmp_path / "single/5.png").read_bytes())).all()
    assert (sheet[20:] == 0).all()


def test_default_shards_hold_whole_sheets(tmp_path):
    make(tmp_path, 3, shard_size=None, grid=3)
    assert json.loads((tmp_path / "dataset.json").read_text())["shard_size"] == 261


def test_sheet_of_a_dataset(tmp_path, generator):
    expected = ImageGenerator().sample(7, SEED)
    for format, options in (("png", {}), ("npy", {}), ("webp", {"grid": 2})):
        make(tmp_path / format, format=format, **options)
        assert (read.sheet(str(tmp_path / format), nrow=4) == _images.make_grid(expected, 4)).all()
        assert (read.sheet(str(tmp_path / format), 2) == _images.make_grid(expected[:2], 8)).all()
    with pytest.raises(dsb_fast.InputError, match="7 images"):
        read.sheet(str(tmp_path / "png"), 8)
    (tmp_path / "png/3.png").write_bytes(b"")
    with pytest.raises(dsb_fast.DatasetError, match="damaged"):
        read.sheet(str(tmp_path / "png"))
    make(tmp_path / "dummy", format="dummy")
    recipe, options, format_ = run.make_recipe(generator, 1, format="npy")
    run.generate_dataset(generator, str(tmp_path / "ecg"), recipe, options, format_)
    for name in ("dummy", "ecg", "nowhere"):
        with pytest.raises(dsb_fast.DatasetError, match=name):
            read.sheet(str(tmp_path / name))


@pytest.mark.parametrize("format", FORMATS[:4])
def test_verify_finds_damage(tmp_path, format):
    make(tmp_path / "d", format=format)
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 7
    victim = tmp_path / "d" / ("000000004.npy" if format == "npy" else f"5.{format}")
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)
    with pytest.raises(dsb_fast.VerificationError, match="shard 000000004"):
        verify.verify_dataset(str(tmp_path / "d"))
    assert make(tmp_path / "d", format=format) is True
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 7


@pytest.mark.parametrize(
    ("format", "options"),
    [("png", {}), ("png", {"grid": 2}), ("jpg", {}), ("jpg", {"grid": 2}), ("webp", {"quality": 80}), ("npy", {})],
)
def test_verify_makes_samples_again(tmp_path, loads, format, options):
    folder = tmp_path / "d"
    make(folder, format=format, **options)
    assert verify.verify_dataset(str(folder), sample=7)["made_again"] == 7
    manifest = json.loads((folder / "dataset.json").read_text())
    for key, value in (("grade", "near"), ("encoder", {"pillow": "9.0"})):  # compared by what is shown
        (folder / "dataset.json").write_text(json.dumps({**manifest, key: value}))
        assert verify.verify_dataset(str(folder), sample=7)["made_again"] == 7
    for change in ({}, {"grade": "near"}):
        (folder / "dataset.json").write_text(json.dumps({**manifest, "seed": SEED + 1, **change}))
        with pytest.raises(dsb_fast.VerificationError, match="made again differs"):
            verify.verify_dataset(str(folder), sample=3)
    (folder / "dataset.json").write_text(json.dumps({**manifest, "weights_sha256": "00" * 32}))
    with pytest.raises(dsb_fast.VerificationError, match="other weights"):
        verify.verify_dataset(str(folder), sample=1)


@pytest.mark.parametrize(("format", "quality"), [("jpg", 10), ("jpg", 95), ("webp", 10), ("webp", 90)])
def test_lossy_files_of_a_near_backend_stay_within_the_tolerance(tmp_path, loads, format, quality):
    """Another backend moves one value in 200 by 1, and the encoder a little more."""

    class Near(ImageGenerator):
        def make(self, *arguments):
            made = super().make(*arguments)
            made.reshape(-1)[::200] ^= 1
            return made

    make(tmp_path / "d", 32, generator=ImageGenerator(32, grade="near"), format=format, quality=quality)
    loads.generator = Near(32, grade="near")
    assert verify.verify_dataset(str(tmp_path / "d"), sample=32)["made_again"] == 32


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"format": "asc"}, "png, jpg, webp, npy, dummy"), ({"format": "csv"}, "can't hold images"),
        ({"format": "mp3"}, "there are png, jpg"), ({"format": "png", "grid": 1}, "from 2 to 32"),
        ({"format": "png", "grid": 33}, "grid"), ({"format": "png", "grid": 2.0}, "grid"),
        ({"format": "png", "grid": 2, "shard_size": 6}, "multiple of 4"), ({"format": "npy", "grid": 2}, "grid"),
        ({"format": "jpg", "quality": 0}, "quality"), ({"format": "jpg", "quality": None}, "quality"),
        ({"format": "png", "quality": 5}, "quality"), ({"format": "webp", "quality": 101}, "quality"),
        ({"format": "png", "compress_level": 10}, "compress_level"), ({"format": "png", "synthetic_mark": 0}, "true"),
    ],
)  # fmt: skip
def test_wrong_requests_leave_nothing(tmp_path, arguments, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        make(tmp_path / "d", **arguments)
    assert not (tmp_path / "d").exists()


def test_transparent_images_are_refused_by_jpeg(tmp_path):
    with pytest.raises(dsb_fast.InputError, match="png and webp are"):
        make(tmp_path / "d", generator=ImageGenerator(channels=4), format="jpg")


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_image_formats_refuse_ecgs(generator, format):
    with pytest.raises(dsb_fast.InputError, match=r"can't hold ECGs; formats for them: asc, csv, npy, (\w+, )*dummy"):
        run.make_recipe(generator, 1, format=format)


def test_ecg_recipes_are_as_before(generator):
    recipe, _, _ = run.make_recipe(generator, 3, format="csv", leads=12)
    assert list(recipe)[-7:] == [
        "sample_shape", "sample_dtype", "unit", "lead_names", "sampling_rate_hz", "scale", "scale_unit"
    ]  # fmt: skip
    assert recipe["unit"] == "microvolt" and recipe["lead_names"][2] == "III" and recipe["scale"] == 6000.0


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_marks_name_the_sample_and_go_away_only_when_asked(tmp_path, format):
    make(tmp_path / "with", format=format)
    make(tmp_path / "without", format=format, synthetic_mark=False)
    data = (tmp_path / f"with/5.{format}").read_bytes()
    assert b"trainedAlgorithmicMedia" in data and b"seed 5, sample 5" in data
    bare = (tmp_path / f"without/5.{format}").read_bytes()
    assert b"trainedAlgorithmicMedia" not in bare and (pixels(bare) == pixels(data)).all()
    assert "ynthetic" in json.loads((tmp_path / "without/dataset.json").read_text())["synthetic"]


def test_going_on_with_another_encoder_is_refused(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        make(tmp_path / "d", system=Quick(40, Killed()))
    monkeypatch.setattr("PIL.__version__", "99.0")
    with pytest.raises(dsb_fast.DatasetError, match="encoder"):
        make(tmp_path / "d")


def test_overwrite_removes_sheets_of_the_old_recipe(tmp_path):
    make(tmp_path / "d", 9, grid=2)
    (tmp_path / "d/mine.png").write_bytes(b"mine")
    make(tmp_path / "d", 2, format="npy", how={"overwrite": True})
    assert sorted(tree(tmp_path / "d")) == ["000000000.npy", "dataset.json", "mine.png"]
    broken = json.loads((tmp_path / "d/dataset.json").read_text())
    for change in ({"format": "png", "format_options": {"grid": "x"}}, {"sample_shape": ["x"]}, {"format": "zarr"}):
        (tmp_path / "d/dataset.json").write_text(json.dumps({**broken, **change}))
        make(tmp_path / "d", 2, format="npy", how={"overwrite": True})
        assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == 2


@pytest.mark.parametrize("change", [{"sample_shape": ["x"]}, {"sample_shape": [16, 16]}, {"sample_dtype": "float32"},
                                    {"format_options": {"grid": 10**9}}, {"format": "asc"},
                                    {"sample_shape": [10**9, 10**9, 3]}])  # fmt: skip
def test_broken_manifests_are_refused(tmp_path, change):
    make(tmp_path / "d")
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    (tmp_path / "d/dataset.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises((dsb_fast.DatasetError, dsb_fast.VerificationError)):
        verify.verify_dataset(str(tmp_path / "d"))


def test_pillow_without_a_codec_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda name: name != "webp")
    make(tmp_path / "a", format="jpg")
    with pytest.raises(dsb_fast.MissingDependencyError, match="format webp"):
        make(tmp_path / "b", format="webp")
    assert not (tmp_path / "b").exists()

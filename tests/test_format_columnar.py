"""``parquet`` and ``hdf5``: read by pandas, pyarrow, datasets and h5py as they are; the same bytes however made."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.image_generator import ImageGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.writers import FormatContext, find
from dsb_fast._bulk.writers.parquet_sizes import check_sizes

pytestmark = pytest.mark.variant_independent

SEED = 5
SETS = ["parquet", "hdf5", "images"]  # ECGs in both, images in parquet


def make(source, folder, count=7, *, format="parquet", shard_size=3, system=None, how=None, **recipe):
    """A small dataset in ``folder``."""
    description, options, format_ = run.make_recipe(source, count, SEED, format=format, shard_size=shard_size, **recipe)
    return run.generate_dataset(source, str(folder), description, options, format_, system=system, **(how or {}))


@pytest.fixture(params=SETS)
def kind(request, generator):
    """What makes samples, and the format."""
    source = ImageGenerator() if request.param == "images" else generator
    return source, {"images": "parquet"}.get(request.param, request.param)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Package datasets, which must reach nothing but files, with its caches in a temporary folder."""
    folder = str(tmp_path_factory.mktemp("hub"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", folder)
        import datasets

        datasets.disable_progress_bars()
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        yield datasets


def samples_of(frame) -> np.ndarray:
    """As docs/formats.md has it."""
    return np.stack([np.stack(leads) for leads in frame.signal_uv])


@pytest.mark.parametrize("leads", [8, 12])
def test_parquet_is_what_pandas_and_pyarrow_read(generator, tmp_path, leads):
    """A shard of 100: two row groups; the last shard has one sample."""
    make(generator, tmp_path, 101, shard_size=100, start=10**10, leads=leads)
    expected = generator.sample(101, SEED, 10**10, leads=leads)
    paths = sorted(map(str, tmp_path.glob("*.parquet")))
    frame = pandas.read_parquet(paths)
    assert list(frame.columns) == ["index", "signal_uv"] and frame["index"].dtype == np.int64
    assert (frame["index"] == np.arange(10**10, 10**10 + 101)).all()
    assert samples_of(frame).dtype == np.int16 and (samples_of(frame) == expected).all()
    file = pq.ParquetFile(tmp_path / "10000000000.parquet")
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [64, 36]
    assert file.read().column("signal_uv").to_pylist() == expected[:100].tolist()
    some = pq.read_table(paths, filters=[("index", ">=", 10**10 + 99)]).column("index")
    assert some.to_pylist() == [10**10 + 99, 10**10 + 100]


def test_parquet_is_what_datasets_reads(generator, tmp_path, hub):
    import torch

    make(generator, tmp_path / "d")
    expected = generator.sample(7, SEED)
    source = {"path": "parquet", "data_files": str(tmp_path / "d/*.parquet"), "split": "train"}
    loaded = hub.load_dataset(**source)
    assert loaded["index"][:] == list(range(7)) and loaded[3]["signal_uv"] == expected[3].tolist()
    arrays = loaded.with_format("numpy", dtype=np.int16)[:]["signal_uv"]
    assert arrays.dtype == np.int16 and (arrays == expected).all()
    tensor = loaded.with_format("torch", dtype=torch.int16)[6]["signal_uv"]
    assert tensor.dtype == torch.int16 and (tensor.numpy() == expected[6]).all()
    assert (loaded.with_format("torch")[:2]["signal_uv"].numpy() == expected[:2]).all()
    stream = hub.load_dataset(**source, streaming=True)
    for form in ("numpy", "torch"):
        rows = list(stream.with_format(form))
        assert [int(row["index"]) for row in rows] == list(range(7))
        assert (np.stack([np.asarray(row["signal_uv"]) for row in rows]) == expected).all()


def test_images_in_parquet_are_what_datasets_and_pandas_read(tmp_path, hub):
    from PIL import Image

    for channels in (3, 4):
        source, folder = ImageGenerator(channels=channels), tmp_path / str(channels)
        make(source, folder, start=2)
        expected = source.sample(7, SEED, 2)
        place = {"path": "parquet", "data_files": str(folder / "*.parquet"), "split": "train"}
        for rows in (hub.load_dataset(**place), hub.load_dataset(**place, streaming=True)):
            pictures = [row["image"] for row in rows]
            assert all(isinstance(picture, Image.Image) for picture in pictures)
            assert (np.stack([np.asarray(picture) for picture in pictures]) == expected).all()
        make(source, tmp_path / f"png{channels}", format="png", start=2)
        for _, row in pandas.read_parquet(
            sorted(folder.glob("*.parquet"))
        ).iterrows():  # the files that format png writes
            assert row["image"]["path"] == f"{row['index']}.png"
            assert row["image"]["bytes"] == (tmp_path / f"png{channels}" / row["image"]["path"]).read_bytes()


def test_images_take_the_options_of_png(tmp_path, generator):
    make(ImageGenerator(), tmp_path / "a", format_options={"synthetic_mark": False, "compress_level": 0})
    data = (tmp_path / "a/000000000.parquet").read_bytes()
    assert b"trainedAlgorithmicMedia" not in data and b"ynthetic" in data
    assert verify.verify_dataset(str(tmp_path / "a"))["samples"] == 7
    with pytest.raises(dsb_fast.InputError, match="compress_level"):
        make(ImageGenerator(), tmp_path / "b", format_options={"compress_level": 10})
    with pytest.raises(dsb_fast.InputError, match="for images, not for ECGs"):
        make(generator, tmp_path / "b", format_options={"compress_level": 2})
    with pytest.raises(dsb_fast.InputError, match="can't hold images"):
        make(ImageGenerator(), tmp_path / "b", format="hdf5")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("leads", [8, 12])
def test_hdf5_is_what_h5py_reads(generator, tmp_path, leads):
    make(generator, tmp_path, format="hdf5", start=4, leads=leads)
    expected = generator.sample(7, SEED, 4, leads=leads)
    for first in (4, 7, 10):
        with h5py.File(tmp_path / f"{first:09d}.hdf5") as file:
            assert file["signal_uv"].dtype == np.int16 and file["index"].dtype == np.int64
            assert (file["index"][:] == np.arange(first, min(first + 3, 11))).all()
            assert (file["signal_uv"][:] == expected[first - 4 : first - 1]).all()
            begin, shape = file["signal_uv"].id.get_offset(), file["signal_uv"].shape
            assert len(file.attrs["lead_names"]) == leads and file.attrs["lead_names"][1] == "II"
        mapped = np.memmap(tmp_path / f"{first:09d}.hdf5", "<i2", "r", begin, shape)
        assert (mapped == expected[first - 4 : first - 1]).all()


def test_hdf5_around_the_samples_is_what_h5py_itself_writes(generator, tmp_path):
    """Of the same arrays: dataset for dataset, attribute for attribute."""
    make(generator, tmp_path, 2, format="hdf5")
    with h5py.File(tmp_path / "000000000.hdf5") as ours, h5py.File(tmp_path / "own", "w") as own:
        own["index"], own["signal_uv"] = np.arange(2), generator.sample(2, SEED)
        for name in ("index", "signal_uv"):
            assert (ours[name].dtype, ours[name].shape, ours[name].chunks) == (own[name].dtype, own[name].shape, None)
            assert (ours[name][:] == own[name][:]).all() and not ours[name].attrs and ours[name].compression is None
        assert sorted(ours) == sorted(own) and ours.userblock_size == 0


def test_files_say_that_they_are_synthetic_and_what_made_them(kind, tmp_path):
    source, format = kind
    make(source, tmp_path, 1, format=format)
    info = source.info
    if format == "hdf5":
        with h5py.File(tmp_path / "000000000.hdf5") as file:
            said = dict(file.attrs)
    else:
        said = {k.decode(): v.decode() for k, v in pq.read_schema(tmp_path / "000000000.parquet").metadata.items()}
    assert "ynthetic" in said["synthetic"] and int(said["seed"]) == SEED
    for name in ("model", "title", "licence", "citation", "weights_sha256"):
        assert said[name] == info[name]
    if isinstance(source, ImageGenerator):
        assert said["unit"] == "grey level"
    else:
        names = said["lead_names"] if format == "hdf5" else json.loads(said["lead_names"])
        assert list(names) == ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
        assert said["unit"] == "microvolt" and float(said["sampling_rate_hz"]) == 500


def test_manifest_is_that_of_the_schema_and_names_the_encoder(kind, tmp_path):
    source, format = kind
    make(source, tmp_path, 4, format=format)
    manifest = json.loads((tmp_path / "dataset.json").read_text())
    schema = Path(__file__).parent.parent / "docs/dataset.schema.json"
    jsonschema.validate(manifest, json.loads(schema.read_text()))
    library = {"parquet": pa, "hdf5": h5py}[format]
    assert manifest["encoder"][library.__name__] == library.__version__
    name = manifest["shards"][0]["name"]
    assert manifest["shards"][0]["sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_size_and_threads_do_not_change_bytes(kind, tmp_path_factory, batch_size, threads):
    source, format = kind
    folder = tmp_path_factory.mktemp("set")
    make(source, folder / "a", format=format)
    make(source, folder / "b", format=format, how={"batch_size": batch_size, "threads": threads})
    assert tree(folder / "a") == tree(folder / "b")


@given(st.lists(st.integers(1, 90), min_size=1, max_size=8))
@settings(max_examples=8, deadline=None)
def test_row_groups_do_not_depend_on_batches(sizes):
    signal = np.arange(sum(sizes) * 16, dtype=np.int16).reshape(-1, 2, 8)
    format_ = find("parquet")(FormatContext((2, 8), "int16", ("I", "II"), 500.0))
    shard, ends = Shard(5, len(signal)), np.cumsum(sizes)
    parts = [format_.encode(part, 0) for part in np.split(signal, ends[:-1])]
    data = b"".join(format_.join(shard, parts))
    assert data == b"".join(format_.join(shard, [format_.encode(signal, 0)]))
    assert (np.stack(list(format_.decode([io.BytesIO(data)], shard))) == signal).all()


_ANEW = """
import hashlib, time, numpy
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.writers import FormatContext, find
time.time = lambda: 2e9
for name in ("parquet", "hdf5"):
    format_ = find(name)(FormatContext((2, 50), "int16", ("I", "II"), 500.0, about={"model": "m", "seed": 2**64 - 1}))
    signal = numpy.arange(700, dtype=numpy.int16).reshape(7, 2, 50)
    parts = format_.join(Shard(3, 7), [format_.encode(signal)])
    print(hashlib.sha256(b"".join(bytes(memoryview(part).cast("B")) for part in parts)).hexdigest())
"""


def test_another_process_user_and_time_write_the_same_bytes(tmp_path):
    seen = set()
    for zone, user in (("UTC", "a"), ("Asia/Tokyo", "b")):
        env = {**os.environ, "TZ": zone, "USER": user, "HOME": str(tmp_path), "PYTHONHASHSEED": str(len(zone))}
        done = subprocess.run([sys.executable, "-c", _ANEW], env=env, cwd=tmp_path, capture_output=True, check=True)
        seen.add(done.stdout)
    assert len(seen) == 1 and len(seen.pop().split()) == 2


def test_extended_is_what_a_longer_run_writes(kind, tmp_path):
    source, format = kind
    make(source, tmp_path / "long", 7, format=format)
    make(source, tmp_path / "d", 5, format=format)
    make(source, tmp_path / "d", 7, format=format, how={"extend": True})
    assert tree(tmp_path / "d") == tree(tmp_path / "long")


@pytest.mark.parametrize("damage", ["shorter", "changed", "sample", "shape", "start"])
def test_verify_finds_damage(kind, tmp_path, damage):
    """In the checksums; and, where they have been forged, in what is decoded."""
    source, format = kind
    folder = tmp_path / "d"
    make(source, folder, format=format)
    victim = folder / f"000000003.{format}"
    if damage in ("shorter", "changed", "sample"):
        raw = bytearray(victim.read_bytes())
        raw[{"changed": 10, "sample": len(raw) // 2}.get(damage, 0)] ^= 1
        victim.write_bytes(raw[:-1] if damage == "shorter" else raw)
        with pytest.raises(dsb_fast.VerificationError, match="recorded bytes"):
            verify.verify_dataset(str(folder))
    else:
        other = {"start": 1} if damage == "start" else {}
        twin = ImageGenerator(size=8) if isinstance(source, ImageGenerator) else source
        twelve = {"leads": 12} if damage == "shape" and twin is source else {}
        make(twin if damage == "shape" else source, tmp_path / "e", format=format, **other, **twelve)
        victim.write_bytes((tmp_path / f"e/{3 + other.get('start', 0):09d}.{format}").read_bytes())
    forge(folder, 1, victim)
    with pytest.raises(dsb_fast.VerificationError, match="shard 000000003") as caught:
        verify.verify_dataset(str(folder))
    assert "\n" not in str(caught.value) and "recorded bytes" not in str(caught.value)


def forge(folder: Path, shard: int, file: Path) -> None:
    """Give the manifest the checksum of another file."""
    manifest = json.loads((folder / "dataset.json").read_text())
    data = file.read_bytes()
    manifest["shards"][shard] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "dataset.json").write_text(json.dumps(manifest))


def ecg_format(name: str):
    return find(name)(FormatContext((2, 50), "int16", ("I", "II"), 500.0))


def written(table: pa.Table, **options) -> io.BytesIO:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return io.BytesIO(file.getvalue())


def test_tables_of_others_are_refused_before_they_are_read():
    format_ = ecg_format("parquet")
    signal = np.arange(300, dtype=np.int16).reshape(3, 2, 50)
    data = b"".join(format_.join(Shard(0, 3), [format_.encode(signal)]))
    table = pq.read_table(io.BytesIO(data))
    uneven = pa.array([[[1] * 49, [1] * 51]] * 3, table.schema.field(1).type)
    as_ours = {"compression": "NONE", "use_dictionary": False, "column_encoding": format_._encodings}
    huge = pa.array([[[0] * 100_000] * 2] * 3, table.schema.field(1).type)
    for file, word in (
        (written(table, **{**as_ours, "compression": "ZSTD"}), "another way"),
        (written(table, compression="NONE"), "another way"),  # dictionaries
        (written(table, compression="NONE", use_dictionary=False), "encoded in another way"),
        (written(table, **as_ours, data_page_version="2.0"), "damaged"),
        (written(table, **as_ours, row_group_size=2), "3 rows in 2 groups"),
        (written(table.slice(1), **as_ours), "2 rows"),
        (written(table.append_column("more", table["index"]), **as_ours), "3 columns"),
        (written(table.set_column(1, table.schema.field(1), uneven), **as_ours), "50 entries"),
        (written(table.set_column(1, table.schema.field(1), huge), **as_ours), "600000 values"),
        (io.BytesIO(data[:-1]), "no Parquet file"), (io.BytesIO(b""), "no Parquet file"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            list(format_.decode([file], Shard(0, 3)))
    with pytest.raises(ValueError, match="other numbers"):
        list(format_.decode([io.BytesIO(data)], Shard(1, 3)))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_files_raise_nothing_but_value_errors(data):
    """pyarrow ends the process on some of these descriptions; we must not come so far."""
    name = data.draw(st.sampled_from(["parquet", "parquet", "hdf5"]))
    format_, signal = ecg_format(name), np.arange(300, dtype=np.int16).reshape(3, 2, 50)
    parts = format_.join(Shard(0, 3), [format_.encode(signal)])
    raw = bytearray(b"".join(bytes(memoryview(part).cast("B")) for part in parts))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = list(format_.decode([io.BytesIO(bytes(raw))], Shard(0, 3)))
        assert np.stack(decoded).shape == signal.shape
    except ValueError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=80))
def test_any_description_of_sizes_is_refused_or_read(footer):
    with pytest.raises(ValueError, match=r"damaged|rows"):
        check_sizes(
            io.BytesIO(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"), [1], {"a": ("PLAIN", 1)}
        )


def test_hdf5_that_points_elsewhere_is_refused(tmp_path):
    """Other files, other datasets, and stores that a few bytes can blow up."""
    format_, signal = ecg_format("hdf5"), np.zeros((3, 2, 50), "<i2")
    (tmp_path / "raw").write_bytes(signal.tobytes())
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["signal_uv"] = signal

    def linked(file):
        file["signal_uv"] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), "signal_uv")

    def virtual(file):
        layout = h5py.VirtualLayout(signal.shape, signal.dtype)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "signal_uv", signal.shape)
        file.create_virtual_dataset("signal_uv", layout)

    def soft(file):
        file["x"], file["signal_uv"] = signal, h5py.SoftLink("/x")

    for fill, word in (
        (linked, "no dataset signal_uv"), (soft, "no dataset signal_uv"), (virtual, "another way"),
        (lambda file: file.create_dataset("signal_uv", signal.shape, "<i2",
                                          external=[(str(tmp_path / "raw"), 0, signal.nbytes)]), "another way"),
        (lambda file: file.create_dataset("signal_uv", data=signal, compression="gzip"), "another way"),
        (lambda file: file.create_dataset("signal_uv", signal.shape, "<i2"), "another way"),  # never written
        (lambda file: file.create_dataset("signal_uv", data=signal.astype(">i2")), "holds >i2"),
        (lambda file: file.create_dataset("signal_uv", data=signal[:2]), r"\[2, 2, 50\]"),
        (lambda file: file.create_group("signal_uv"), "no dataset signal_uv"),
    ):  # fmt: skip
        path = tmp_path / "d.hdf5"
        with h5py.File(path, "w") as file:
            file["index"] = np.arange(3)
            fill(file)
        with pytest.raises(ValueError, match=word), path.open("rb") as file:
            list(format_.decode([file], Shard(0, 3)))


@pytest.mark.parametrize(("format", "package"), [("parquet", "pyarrow"), ("hdf5", "h5py")])
def test_missing_package_is_named_with_the_extra_that_brings_it(generator, tmp_path, monkeypatch, format, package):
    monkeypatch.setattr("dsb_fast._bulk.writers.base.find_spec", lambda name: None)
    with pytest.raises(dsb_fast.MissingDependencyError) as caught:
        make(generator, tmp_path / "d", format=format)
    assert str(caught.value) == f"format {format} needs {package}; pip install 'dsb-fast[formats]'"
    assert not (tmp_path / "d").exists()


def test_packages_are_not_imported_before_they_are_needed(tmp_path):
    lines = "import sys; from dsb_fast._bulk.writers import names; names(); "
    lines += "print({'pyarrow', 'h5py', 'datasets', 'pandas', 'pydicom', 'edfio', 'zarr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()", done.stderr

"""Filtered and annotated datasets: what is stored, what is recorded, and that neither depends on how it was made."""

from __future__ import annotations

import csv
import json
import random
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.image_generator import ImageGenerator
from references.recorded_system import Killed, Quick
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import part, regenerate, run, verify, writers
from dsb_fast._bulk.kept import about_kept, is_whole_record, stored
from dsb_fast._bulk.manifest_file import check_manifest
from dsb_fast._bulk.merge import merge
from dsb_fast._bulk.plan import Plan, Shard
from dsb_fast._bulk.read import open_format, sheet, stored_sample

pytestmark = pytest.mark.variant_independent

SEED, START, COUNT = 5, 8, 17
SCHEMA = Path(__file__).parent.parent / "docs/dataset.schema.json"
SOURCES = {writers.SIGNAL: SignalGenerator, writers.IMAGE: lambda: ImageGenerator(8)}
NAMES = {writers.SIGNAL: ["noise_uv", "range_uv", "heart_rate_bpm"], writers.IMAGE: ["mean_grey", "contrast_grey"]}
CASES = [(kind, name) for kind in SOURCES for name in writers.names(kind)]


def measure(kind, sample) -> float:
    """What the condition asks for, in float64."""
    if kind == writers.IMAGE:
        return float((sample[..., :3].astype(np.float64) @ [0.299, 0.587, 0.114]).mean())
    second = np.abs(np.diff(sample.astype(np.float64), 2, axis=1))
    return float(np.median(second, axis=1).max() / (0.6744897501960817 * np.sqrt(6)))


def condition(kind) -> tuple[str, list[int]]:
    """A condition that about half of the samples meet, and the numbers of these; none in the first shard of three."""
    samples = SOURCES[kind]().sample(COUNT, SEED, START)
    values = [measure(kind, sample) for sample in samples]
    limit = (sorted(values)[8] + sorted(values)[9]) / 2
    first = ", ".join(f"abs({NAMES[kind][0]} - {value!r})" for value in values[:3])
    text = f"{NAMES[kind][0]} < {limit!r} and min({first}) > 1e-6"
    return text, [START + k for k, value in enumerate(values) if k > 2 and value < limit]


def make(folder, kind=writers.SIGNAL, format="npy", count=COUNT, *, keep=None, shards=None, how=None, **recipe):
    """A small dataset in shards of three, or a part of it."""
    generator = SOURCES[kind]()
    recipe = {"shard_size": 3, "keep": condition(kind)[0] if keep is None else keep or None, **recipe}
    made, options, format_ = run.make_recipe(generator, count, SEED, START, format, **recipe)
    made = part.part_recipe(made, *shards) if shards else made
    run.generate_dataset(generator, str(folder), made, options, format_, **{"system": Quick(), **(how or {})})
    return json.loads((folder / "dataset.json").read_text())


def numbers_of(manifest) -> list[int]:
    """The samples that are stored, as a reader of the manifest finds them."""
    kept = []
    for shard in manifest["shards"]:
        rejected = set()
        for word in filter(None, shard["rejected"].split(",")):
            first, _, last = word.partition("-")
            rejected |= set(range(int(first), int(last or first) + 1))
        kept += [shard["first"] + k for k in range(shard["count"]) if k not in rejected]
        assert shard["kept"] == shard["count"] - len(rejected)
    return kept


@pytest.fixture
def loads(monkeypatch):
    """``dsb_fast.load`` gives the stand-in of a kind."""

    def use(kind):
        monkeypatch.setattr("dsb_fast._api.load", lambda *_, **__: SOURCES[kind]())

    return use


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_format_stores_and_records_what_passed(tmp_path, loads, kind, name):
    expected, samples = condition(kind)[1], SOURCES[kind]().sample(COUNT, SEED, START)
    manifest = make(tmp_path / "d", kind, name, annotate=NAMES[kind])
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text()))
    assert numbers_of(manifest) == expected and 4 < len(expected) < 12
    assert manifest["yield"] == {"tried": COUNT, "kept": len(expected)} and manifest["count"] == COUNT
    assert [shard["first"] for shard in manifest["shards"]] == list(range(START, START + COUNT, 3))
    assert manifest["shards"][0]["kept"] == 0 and set(manifest["measurements"]) == set(NAMES[kind])
    loads(kind)
    found = verify.verify_dataset(str(tmp_path / "d"), 0 if name == "dummy" else COUNT)
    assert found["samples"] == len(expected) and f"kept {len(expected)} of {COUNT}" in found["kept"]
    format_ = open_format("d", manifest)
    if name != "dummy" and format_.tolerance is None:
        for record, shard in zip(manifest["shards"], Plan.of(manifest), strict=True):
            there = stored(shard, record)
            for number in there.numbers:
                assert (stored_sample(str(tmp_path / "d"), format_, there, number) == samples[number - START]).all()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_annotations_alone_change_no_sample(tmp_path, kind, name):
    plain = make(tmp_path / "plain", kind, name, keep="")
    labelled = make(tmp_path / "d", kind, name, keep="", annotate="all")
    assert "keep" not in labelled and "yield" not in labelled and "rejected" not in labelled["shards"][0]
    of = [[shard["samples_sha256"] for shard in manifest["shards"]] for manifest in (plain, labelled)]
    assert of[0] == of[1]
    assert not {"keep", "annotate", "measurements", "yield"} & set(plain)
    verify.verify_dataset(str(tmp_path / "d"))


@pytest.mark.parametrize("name", ["asc", "npy", "png", "dummy"])
def test_labels_beside_samples(tmp_path, name):
    kind = writers.IMAGE if name == "png" else writers.SIGNAL
    make(tmp_path / "d", kind, name, annotate=NAMES[kind])
    rows = [row for path in sorted((tmp_path / "d/labels").iterdir()) for row in csv.DictReader(path.open())]
    assert [int(row["index"]) for row in rows] == condition(kind)[1]
    samples = SOURCES[kind]().sample(COUNT, SEED, START)
    for row in rows:
        own = measure(kind, samples[int(row["index"]) - START])
        assert float(row[NAMES[kind][0]]) == pytest.approx(own, rel=1e-12)
        assert row.get("heart_rate_bpm", "") == ""  # of 60 values nobody can tell


def labels_expected(kind=writers.SIGNAL):
    numbers, samples = condition(kind)[1], SOURCES[kind]().sample(COUNT, SEED, START)
    return numbers, [measure(kind, samples[number - START]) for number in numbers], samples


def test_labels_are_columns_of_parquet_and_hdf5(tmp_path):
    import h5py
    import pandas as pd

    numbers, values, _ = labels_expected()
    make(tmp_path / "p", format="parquet", annotate=NAMES["signal"])
    table = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "p").glob("*.parquet"))])
    assert table["index"].tolist() == numbers and table["heart_rate_bpm"].isna().all()
    np.testing.assert_allclose(table["noise_uv"], values, rtol=1e-12)
    make(tmp_path / "h", format="hdf5", annotate=NAMES["signal"])
    index, noise = [], []
    for path in sorted((tmp_path / "h").glob("*.hdf5")):
        with h5py.File(path) as file:
            index += file["index"][:].tolist()
            noise += file["noise_uv"][:].tolist()
            assert np.isnan(file["heart_rate_bpm"][:]).all() and len(file["signal_uv"]) == len(file["index"])
    assert index == numbers and noise == table["noise_uv"].tolist()


def test_labels_are_columns_for_hugging_face(tmp_path):
    import datasets

    make(tmp_path / "p", writers.IMAGE, "parquet", annotate=["mean_grey"])
    numbers, values, samples = labels_expected(writers.IMAGE)
    files = [str(path) for path in sorted((tmp_path / "p").glob("*.parquet"))]
    read = datasets.Dataset.from_parquet(files, cache_dir=str(tmp_path / "cache"))
    assert read["index"][:] == numbers
    np.testing.assert_allclose(read["mean_grey"][:], values, rtol=1e-12)
    assert (np.asarray(read[0]["image"]) == samples[numbers[0] - START]).all()


def test_labels_are_in_the_json_of_webdataset(tmp_path):
    import webdataset

    make(tmp_path / "w", format="webdataset", annotate=NAMES["signal"])
    numbers, values, samples = labels_expected()
    found = []
    for path in sorted((tmp_path / "w").glob("*.tar")):
        found += list(webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False).decode())
    assert [one["json"]["index"] for one in found] == numbers == [int(one["__key__"]) for one in found]
    np.testing.assert_allclose([one["json"]["labels"]["noise_uv"] for one in found], values, rtol=1e-12)
    assert all(one["json"]["labels"]["heart_rate_bpm"] is None for one in found)
    assert all((one["npy"] == samples[number - START]).all() for one, number in zip(found, numbers, strict=True))


def test_zarr_says_which_samples_are_there(tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3")
    make(tmp_path / "z", format="zarr", annotate=NAMES["signal"])
    numbers, values, samples = labels_expected()
    group = zarr.open(str(tmp_path / "z"), mode="r")
    kept = group["kept"][:]
    assert kept.dtype == bool and (np.flatnonzero(kept) + START).tolist() == numbers
    array = group["signal_uv"][:]
    assert (array[kept] == samples[kept]).all() and not array[~kept].any()
    np.testing.assert_allclose(group["noise_uv"][:][kept], values, rtol=1e-12)
    assert np.isnan(group["noise_uv"][:][~kept]).all() and np.isnan(group["heart_rate_bpm"][:]).all()


def test_wfdb_lists_the_records_that_are_there(tmp_path):
    make(tmp_path / "d", format="wfdb")
    names = (tmp_path / "d/RECORDS").read_text().split()
    assert list(map(int, names)) == condition(writers.SIGNAL)[1]
    assert {path.stem for path in (tmp_path / "d").glob("*.hea")} == set(names)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 9), st.integers(1, 3), st.sampled_from(["npy", "webdataset", "parquet"]))
def test_batches_and_threads_change_no_byte(tmp_path_factory, batch_size, threads, name):
    folder = tmp_path_factory.mktemp("set")
    make(folder / "a", format=name, annotate=NAMES["signal"])
    make(folder / "b", format=name, annotate=NAMES["signal"], how={"batch_size": batch_size, "threads": threads})
    assert tree(folder / "a") == tree(folder / "b")


@pytest.mark.parametrize("name", ["npy", "wfdb", "zarr", "asc", "parquet"])
def test_killed_at_any_call_and_started_again_the_bytes_are_the_same(tmp_path, name):
    whole, expected = Quick(), None
    make(tmp_path / "whole", format=name, count=9, annotate=["noise_uv"], how={"system": whole})
    expected = tree(tmp_path / "whole")
    for k in random.Random(1).sample(range(len(whole.log)), min(25, len(whole.log))):
        folder = tmp_path / f"{k}"
        with pytest.raises(Killed):
            make(folder, format=name, count=9, annotate=["noise_uv"], how={"system": Quick(k, Killed(), after=k % 2)})
        make(folder, format=name, count=9, annotate=["noise_uv"])
        assert tree(folder) == expected, (k, whole.log[k])


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_parts_merged_are_one_run(tmp_path, kind, name):
    make(tmp_path / "whole", kind, name, annotate=NAMES[kind])
    parts = []
    for shards in ((2, 6), (0, 1), (1, 2)):
        parts.append(str(tmp_path / f"part{shards[0]}"))
        make(Path(parts[-1]), kind, name, annotate=NAMES[kind], shards=shards)
        verify.verify_dataset(parts[-1])
    merge(parts, str(tmp_path / "d"), system=Quick())
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == len(condition(kind)[1])
    make(tmp_path / "d", kind, name, keep="", how={"overwrite": True})
    make(tmp_path / "plain", kind, name, keep="")
    assert tree(tmp_path / "d") == tree(tmp_path / "plain")  # nothing of the filtered one is left


def test_longer_is_as_if_made_at_once_and_another_condition_is_another_dataset(tmp_path):
    keep = condition(writers.SIGNAL)[0]
    make(tmp_path / "d", format="wfdb", count=7)
    with pytest.raises(dsb_fast.DatasetError, match="--extend"):
        make(tmp_path / "d", format="wfdb")
    make(tmp_path / "d", format="wfdb", how={"extend": True})
    make(tmp_path / "whole", format="wfdb")
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")
    with pytest.raises(dsb_fast.DatasetError, match=r"another recipe .*keep was"):
        make(tmp_path / "d", format="wfdb", keep="noise_uv < 1")
    make(tmp_path / "d", format="wfdb", keep=f"({keep.replace(' ', '  ')})")  # the same in other words
    assert tree(tmp_path / "d") == tree(tmp_path / "whole")


def test_made_again_from_the_manifest(tmp_path, loads):
    loads(writers.SIGNAL)
    make(tmp_path / "d", format="parquet", annotate=["noise_uv"])
    found = regenerate.regenerate(str(tmp_path / "d"), str(tmp_path / "again"))
    assert found.same_bytes == found.shards == 6 and "kept" in found.sentence()
    assert tree(tmp_path / "again") == tree(tmp_path / "d")


def test_nothing_passes(tmp_path):
    for kind, name in CASES:
        manifest = make(tmp_path / name / kind, kind, name, keep=f"{NAMES[kind][0]} < 0", annotate=NAMES[kind])
        assert manifest["yield"]["kept"] == 0 and numbers_of(manifest) == []
        assert verify.verify_dataset(str(tmp_path / name / kind))["samples"] == 0


def test_sheet_is_of_images_that_are_there(tmp_path):
    make(tmp_path / "d", writers.IMAGE, "png")
    make(tmp_path / "n", writers.IMAGE, "npy")
    count = len(condition(writers.IMAGE)[1])
    assert (sheet(str(tmp_path / "d")) == sheet(str(tmp_path / "n"), count)).all()
    with pytest.raises(dsb_fast.InputError, match=f"has {count} images"):
        sheet(str(tmp_path / "d"), count + 1)


def change(folder, **record):
    """Change what the manifest says of its second shard."""
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["shards"][1].update(record)
    (folder / "dataset.json").write_text(json.dumps(manifest))


def test_verify_notices_another_selection(tmp_path, loads):
    loads(writers.SIGNAL)
    made = make(tmp_path / "d", format="npy", count=6)
    record = made["shards"][1]
    kept = numbers_of(made)
    assert 0 < len(kept) < 3
    change(tmp_path / "d", rejected="", kept=3)
    with pytest.raises(dsb_fast.VerificationError, match=r"can't be decoded|recorded"):
        verify.verify_dataset(str(tmp_path / "d"))
    change(tmp_path / "d", **record)
    verify.verify_dataset(str(tmp_path / "d"), 6)
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    (tmp_path / "d/dataset.json").write_text(json.dumps({**manifest, "keep": "noise_uv > 1e9"}))
    with pytest.raises(dsb_fast.VerificationError, match="was kept, but fails the condition"):
        verify.verify_dataset(str(tmp_path / "d"), 6)
    (tmp_path / "d/dataset.json").write_text(json.dumps({**manifest, "keep": "noise_uv > 0"}))
    with pytest.raises(dsb_fast.VerificationError, match="was rejected, but passes the condition"):
        verify.verify_dataset(str(tmp_path / "d"), 6)


@pytest.mark.parametrize("record", [
    {"kept": 2, "rejected": "0-999999"}, {"kept": -1}, {"kept": True}, {"rejected": None},
    {"rejected": "2,1", "kept": 1},
    {"rejected": "1-0", "kept": 3}, {"rejected": "3", "kept": 2}, {"rejected": "0,0", "kept": 1}, {"kept": 4},
    {"rejected": "a"}, {"rejected": "1,,2", "kept": 1}, {"rejected": " 1", "kept": 2}, {"rejected": "0" * 10**6},
])  # fmt: skip
def test_hostile_records_are_refused(tmp_path, record):
    make(tmp_path / "d", count=6)
    change(tmp_path / "d", **record)
    with pytest.raises(dsb_fast.DatasetError, match="shard 1 is not"):
        verify.verify_dataset(str(tmp_path / "d"))


@pytest.mark.parametrize("entry", [
    {"keep": 5}, {"keep": None},
    {"annotate": "noise_uv"}, {"annotate": [5]}, {"annotate": ["../../x"]}, {"annotate": ["a,b"]}, {"measurements": []},
    {"measurements": {"noise_uv": True}}, {"shard_size": 10**15, "count": 10**15, "shards": [], "complete": False},
])  # fmt: skip
def test_hostile_entries_are_refused(tmp_path, entry):
    manifest = make(tmp_path / "d", count=6, annotate=["noise_uv"])
    with pytest.raises(dsb_fast.DatasetError, match="of another type"):
        check_manifest("d", {**manifest, **entry})
    with pytest.raises(dsb_fast.DatasetError, match="shard 0"):
        check_manifest("d", {key: value for key, value in manifest.items() if key != "keep"})


def test_a_manifest_of_another_version_of_a_measurement_is_not_made_again(tmp_path, loads):
    loads(writers.SIGNAL)
    manifest = make(tmp_path / "d", count=6)
    (tmp_path / "d/dataset.json").write_text(json.dumps({**manifest, "measurements": {"noise_uv": 7}}))
    with pytest.raises(dsb_fast.InputError, match="measurements was"):
        regenerate.regenerate(str(tmp_path / "d"), str(tmp_path / "again"))
    with pytest.raises(dsb_fast.InputError, match="version 7, here it is 1"):
        verify.verify_dataset(str(tmp_path / "d"), 6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**63), st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_record_says_what_was_kept(first, kept):
    shard = Shard(first, len(kept))
    numbers = tuple(first + k for k, there in enumerate(kept) if there)
    record = about_kept(shard.keeping(numbers))
    assert record["kept"] == len(numbers) and stored(shard, record) == shard.keeping(numbers)
    assert is_whole_record(record, {"keep": "x > 1"}, shard) and not is_whole_record(record, {}, shard)
    assert not is_whole_record({**record, "kept": record["kept"] + 1}, {"keep": "x > 1"}, shard)


def test_a_function_of_python(tmp_path, loads):
    loads(writers.SIGNAL)
    numbers = condition(writers.SIGNAL)[1]
    samples = SignalGenerator().sample(COUNT, SEED, START)
    limit = min(measure("signal", samples[number - START]) for number in numbers)

    def calm(measured):
        assert "heart_rate_bpm" in measured and len(measured) > 10
        return measured["noise_uv"] <= limit + 1e-6

    manifest = make(tmp_path / "d", keep=calm, keep_id="calm/1", how={"keep": calm})
    assert manifest["keep"]["id"] == "calm/1" and manifest["keep"]["function"].endswith("calm")
    assert numbers_of(manifest) == [k for k in range(START, START + COUNT)
                                    if measure("signal", samples[k - START]) <= limit + 1e-6]  # fmt: skip
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text()))
    verify.verify_dataset(str(tmp_path / "d"), COUNT)
    before = tree(tmp_path / "d")
    make(tmp_path / "d", keep=calm, keep_id="calm/1", how={"keep": calm})
    assert tree(tmp_path / "d") == before
    with pytest.raises(dsb_fast.DatasetError, match="another recipe"):
        make(tmp_path / "d", keep=calm, keep_id="calm/2", how={"keep": calm})
    with pytest.raises(dsb_fast.DatasetError, match="only its owner has"):
        regenerate.regenerate(str(tmp_path / "d"), str(tmp_path / "again"))
    for how, recipe, word in [
        ({}, {"keep_id": "a"}, "which is not here"), ({"keep": calm}, {}, "keep_id"),
        ({"keep": calm, "workers": 2}, {"keep_id": "a"}, "workers"), ({"keep": calm}, {"keep_id": "a\nb"}, "keep_id"),
    ]:  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match=word):
            make(tmp_path / "e", keep=calm, how=how, **recipe)
    with pytest.raises(dsb_fast.InputError, match="names none"):
        make(tmp_path / "e", keep="noise_uv < 1", how={"keep": calm})


@pytest.mark.parametrize(("recipe", "word"), [
    ({"keep": "nois_uv < 1"}, "noise_uv is"), ({"keep": "noise_uv"}, "compare it"), ({"keep": 5}, "int"),
    ({"annotate": ["noise"]}, "no measurement"), ({"annotate": "noise_uv,noise_uv"}, "once"),
    ({"annotate": []}, "no name"),
    ({"keep": "noise_uv < 1", "shard_size": 200}, "held in memory, and 104 of these"),
    ({"keep": "noise_uv < 1", "count": 10**9}, "at most"),
])  # fmt: skip
def test_what_can_not_be_made_is_refused_before_anything_is_written(tmp_path, monkeypatch, recipe, word):
    monkeypatch.setattr("dsb_fast._bulk.kept._LARGEST_SHARD", 100_000)
    with pytest.raises(dsb_fast.InputError, match=word) as error:
        make(tmp_path / "d", **recipe)
    assert "\n" not in str(error.value) and not (tmp_path / "d").exists()


def test_sheets_and_formats_of_others_can_not_leave_samples_out(tmp_path, monkeypatch):
    with pytest.raises(dsb_fast.InputError, match="png with a grid can't leave samples out"):
        make(tmp_path / "d", writers.IMAGE, "png", format_options={"grid": 2}, shard_size=4)
    manifest = make(
        tmp_path / "g", writers.IMAGE, "png", keep="", format_options={"grid": 2}, shard_size=4, annotate="all"
    )
    assert len(list((tmp_path / "g/labels").iterdir())) == len(manifest["shards"]) == 5
    verify.verify_dataset(str(tmp_path / "g"))
    monkeypatch.setattr(writers.find("npy"), "sparse", False)
    with pytest.raises(dsb_fast.InputError, match="format npy can't leave samples out"):
        make(tmp_path / "d")


def test_the_command(command, one_line, tmp_path):
    arguments = ("generate", "cardiovascular.ecg", "-n", 12, "--format", "parquet", "--shard-size", 4, "--seed", 3)
    keep = ("--keep", "60 <= heart_rate_bpm <= 75 and noise_uv < 20", "--annotate", "heart_rate_bpm,qt_interval_ms")
    done = command(*arguments, *keep, "-o", "a", check=0)
    manifest = json.loads((tmp_path / "a/dataset.json").read_text())
    kept = manifest["yield"]["kept"]
    assert manifest["keep"] == keep[1] and 0 < kept < 12 and f"a: kept {kept} of 12" in done.stderr
    command(*arguments, *keep, "-o", "b", "--workers", 2, "--batch-size", 3, "--quiet", check=0)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert f"kept {kept} of 12" in command("verify", "a", "--sample", 4, check=0).stdout
    assert f"kept {kept} of 12" in command("regenerate", "a", "-o", "c", check=0).stdout
    assert tree(tmp_path / "a") == tree(tmp_path / "c")
    shutil.rmtree(tmp_path / "c")
    for text, word in [("heart_rate > 5", "heart_rate_bpm is"), ("beats >", "ends"), ("exit('os')", "character 6")]:
        line = one_line(command(*arguments, "-o", "c", "--keep", text), 2)
        assert word in line and not (tmp_path / "c").exists()


def test_labels_of_a_large_archive_are_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("dsb_fast._bulk.kept._LARGEST_SHARD", 1000)
    make(tmp_path / "d", writers.IMAGE, "stylegan-zip", keep="", annotate="all", shard_size=10)
    assert verify.verify_dataset(str(tmp_path / "d"))["samples"] == COUNT
    assert len((tmp_path / "d/labels/000000008.csv").read_text().splitlines()) == 11
    with pytest.raises(dsb_fast.InputError, match="with annotate a shard is held in memory"):
        make(tmp_path / "e", writers.IMAGE, "parquet", keep="", annotate="all", shard_size=10)

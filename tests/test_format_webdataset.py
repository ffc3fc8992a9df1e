"""Format webdataset: read back by webdataset through torch's loader, the same bytes however made, damage found."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import webdataset
from braceexpand import braceexpand
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.image_generator import ImageGenerator
from references.recorded_system import Killed, RecordedSystem
from references.signal_generator import SignalGenerator
from references.trees import tree
from torch.utils.data import DataLoader

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.plan import Plan, Shard
from dsb_fast._bulk.writers import FormatContext
from dsb_fast._bulk.writers.webdataset import WebdatasetFormat

pytestmark = pytest.mark.variant_independent

KINDS = ["ecg", "image"]
SEED = 5


def make(generator, folder, count=7, *, shard_size=3, start=0, how=None, format_options=None, **options):
    """A small dataset in ``folder``."""
    recipe, chosen, format_ = run.make_recipe(
        generator, count, SEED, start, "webdataset", shard_size, format_options, **options
    )
    return run.generate_dataset(generator, str(folder), recipe, chosen, format_, **(how or {}))


@pytest.fixture(scope="module")
def generators(generator):
    """One for each kind of samples."""
    return {"ecg": generator, "image": ImageGenerator()}


@pytest.fixture(scope="module")
def undisturbed(generators, tmp_path_factory):
    """One dataset a kind, made in one go: its folder."""
    folders = {kind: tmp_path_factory.mktemp("undisturbed") / kind for kind in KINDS}
    for kind, folder in folders.items():
        assert make(generators[kind], folder)
    return folders


def read(urls, *decoding) -> list[dict]:
    """What webdataset makes of tars."""
    return list(webdataset.WebDataset(urls, shardshuffle=False).decode(*decoding))


@pytest.mark.parametrize("leads", [8, 12])
@pytest.mark.parametrize("start", [0, 4])
def test_webdataset_reads_ecgs(generator, tmp_path, leads, start):
    make(generator, tmp_path / "d", start=start, leads=leads)
    urls = f"{tmp_path}/d/{{{start:09d}..{start + 6:09d}..3}}.tar"
    expected = generator.sample(7, seed=SEED, start=start, leads=leads)
    samples = read(urls)
    assert [sample["__key__"] for sample in samples] == [str(k) for k in range(start, start + 7)]
    for k, sample in enumerate(samples):
        assert sample["npy"].dtype == np.int16 and (sample["npy"] == expected[k]).all()
        about = sample["json"]
        assert (about["index"], about["seed"], about["model"]) == (start + k, SEED, "cardiovascular.ecg")
        assert about["weights_sha256"] == generator.info["weights_sha256"] and about["licence"] == "MIT"
        assert (about["unit"], about["sampling_rate_hz"], len(about["lead_names"])) == ("microvolt", 500, leads)
        assert "ynthetic" in about["synthetic"] and "Scientific Reports" in about["citation"]
        assert about["options"] == {"leads": leads}


@pytest.mark.parametrize("channels", [3, 4])
def test_webdataset_reads_images(tmp_path, channels):
    generator = ImageGenerator(channels=channels)
    make(generator, tmp_path / "d", start=2)
    expected = generator.sample(7, SEED, 2)
    samples = read(f"{tmp_path}/d/{{000000002..000000008..3}}.tar", {3: "rgb8", 4: "rgba8"}[channels])
    assert (np.stack([sample["png"] for sample in samples]) == expected).all()
    assert [sample["json"]["index"] for sample in samples] == list(range(2, 9))
    assert samples[0]["json"]["unit"] == "grey level" and "lead_names" not in samples[0]["json"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_loader_with_workers_gives_every_sample_once(generators, undisturbed, kind):
    urls = f"{undisturbed[kind]}/{{000000000..000000006..3}}.tar"
    dataset = webdataset.WebDataset(urls, shardshuffle=False).decode("torchrgb8")
    dataset = dataset.to_tuple("json", "npy" if kind == "ecg" else "png")
    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=list)
    seen = {about["index"]: np.asarray(array) for batch in loader for about, array in batch}
    expected = generators[kind].sample(7, seed=SEED)
    if kind == "image":
        expected = expected.transpose(0, 3, 1, 2)
    assert sorted(seen) == list(range(7))
    assert (np.stack([seen[k] for k in range(7)]) == expected).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_is_what_webdatasets_own_writer_makes(undisturbed, kind):
    for path in sorted(undisturbed[kind].glob("*.tar")):
        stream = io.BytesIO()
        with webdataset.TarWriter(
            stream, user="dsb-fast", group="dsb-fast", mode=0o644, mtime=0, encoder=False
        ) as writer:
            for sample in webdataset.WebDataset(str(path), shardshuffle=False):
                writer.write({key: value for key, value in sample.items() if key in ("__key__", "json", "npy", "png")})
        assert stream.getvalue() == path.read_bytes()
        with tarfile.open(path) as archive:
            for member in archive:
                assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)


@pytest.mark.parametrize(("start", "count", "size"), [(0, 7, 3), (0, 1, 256), (5, 50_000, 256), (10**8, 2560, 256),
                                                      (1, 1_000_000, 999), (10**9, 512, 256)])  # fmt: skip
def test_a_brace_range_with_a_step_names_all_shards(start, count, size):
    plan = Plan(start, count, size)
    text = f"{{{plan[0].name}..{plan[len(plan) - 1].name}..{size}}}.tar"
    assert list(braceexpand(text)) == [f"{shard.name}.tar" for shard in plan]


def test_the_docs_read_it_so(tmp_path, capsys):
    generator = SignalGenerator()
    make(generator, tmp_path, 600, shard_size=None)
    text = (Path(__file__).parent.parent / "docs/formats.md").read_text().partition("## webdataset")[2]
    first, second = (code.replace("DIR", str(tmp_path)) for code in re.findall(r"```python\n(.*?)```", text, re.S)[:2])
    exec(first, {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 600 and printed[-1] == "599 599 (8, 60)"
    found = {"json": json, "webdataset": webdataset}
    exec(second, found)
    assert (np.stack([sample["npy"] for sample in found["samples"]]) == generator.sample(600, SEED)).all()


def test_png_files_are_those_of_format_png(tmp_path):
    generator = ImageGenerator()
    for options in ({}, {"compress_level": 9, "synthetic_mark": False}):
        folder = tmp_path / str(len(options))
        make(generator, folder / "tar", format_options=options)
        recipe, chosen, format_ = run.make_recipe(generator, 7, SEED, format="png", format_options=options)
        run.generate_dataset(generator, str(folder / "png"), recipe, chosen, format_)
        raw = list(webdataset.WebDataset(f"{folder}/tar/{{000000000..000000006..3}}.tar", shardshuffle=False))
        assert [sample["png"] for sample in raw] == [(folder / f"png/{k}.png").read_bytes() for k in range(7)]
        assert (b"trainedAlgorithmicMedia" in raw[0]["png"]) == (not options)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_size_and_threads_do_not_change_bytes(
    generators, undisturbed, tmp_path_factory, kind, batch_size, threads
):
    folder = tmp_path_factory.mktemp("set") / "d"
    make(generators[kind], folder, how={"batch_size": batch_size, "threads": threads})
    assert tree(folder) == tree(undisturbed[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_extended_equals_made_at_once(generators, undisturbed, tmp_path, kind):
    make(generators[kind], tmp_path / "d", 5)
    make(generators[kind], tmp_path / "d", 7, how={"extend": True})
    assert tree(tmp_path / "d") == tree(undisturbed[kind])


def test_verify_makes_samples_again_and_finds_damage(generator, tmp_path):
    make(generator, tmp_path / "d")
    assert verify.verify_dataset(str(tmp_path / "d"), sample=4)["made_again"] == 4
    whole = (tmp_path / "d/000000003.tar").read_bytes()
    for damaged in (whole[:-600], whole[:200_000], bytes(whole[:99_000]) + b"\x01" + whole[99_001:], b""):
        (tmp_path / "d/000000003.tar").write_bytes(damaged)
        with pytest.raises(dsb_fast.VerificationError, match="shard 000000003") as caught:
            verify.verify_dataset(str(tmp_path / "d"))
        assert "\n" not in str(caught.value)
    assert make(generator, tmp_path / "d") is True
    assert (tmp_path / "d/000000003.tar").read_bytes() == whole


def formats(kind: str, count: int = 2):
    """A format of small samples, and a shard of it."""
    rng = np.random.default_rng(0)
    if kind == "ecg":
        context = FormatContext((2, 30), "int16", ("I", "II"), 500.0)
        samples = rng.integers(-3000, 3000, (count, 2, 30), np.int16)
    else:
        context = FormatContext((8, 8, 3), "uint8", about={"model": "a.b", "seed": 1})
        samples = rng.integers(0, 256, (count, 8, 8, 3), np.uint8)
    format_, shard = WebdatasetFormat(context), Shard(9, count)
    return format_, shard, samples, b"".join(format_.join(shard, [format_.encode(samples, 9)]))


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=80, deadline=None)
def test_any_other_bytes_give_the_samples_or_a_value_error(kind, data):
    format_, shard, samples, whole = formats(kind)
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(whole), len(whole), len(whole) - 512, 700, 1]))
    try:
        decoded = list(format_.decode([io.BytesIO(bytes(broken[:end]))], shard))
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert np.stack(decoded).shape == samples.shape and end == len(whole)


def tar_of(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar of ``members``."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def npy(array) -> bytes:
    """The file that numpy makes of an array."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("../9.json", b"{}")], "where 9.json should be"),
        ([("9.npy", b"")], "where 9.json should be"),
        ([("9.json", b'{"index": 8}')], "not about sample 9"),
        ([("9.json", b"[" * 60000)], "not about sample 9"),
        ([("9.json", b"x" * 70000)], "at most"),
        ([("9.json", b'{"index": 9}'), ("9.npy", npy(np.zeros((2, 31), np.int16)))], "at most"),
        ([("9.json", b'{"index": 9}'), ("9.npy", npy(np.zeros((30, 2), np.int16)))], "no array of int16"),
        ([("9.json", b'{"index": 9}'), ("9.npy", npy(np.zeros((2, 30), np.uint16)))], "no array of int16"),
        ([("9.json", b'{"index": 9}'), ("9.npy", npy(np.zeros((2, 29), np.int16)))], "no array of int16"),
    ],
)
def test_foreign_tars_are_refused(members, words):
    format_, shard, _, _ = formats("ecg", 1)
    with pytest.raises(ValueError, match=words):
        list(format_.decode([io.BytesIO(tar_of(*members))], shard))


def test_links_and_declared_sizes_are_refused():
    format_, shard, _, whole = formats("ecg", 1)
    with pytest.raises(ValueError, match=r"where 9\.json should be"):
        list(format_.decode([io.BytesIO(tar_of(("9.json", b""), kind=tarfile.SYMTYPE))], shard))
    huge = tarfile.TarInfo("9.json")
    huge.size = 1 << 40
    with pytest.raises(ValueError, match="at most"):
        list(format_.decode([io.BytesIO(huge.tobuf(tarfile.GNU_FORMAT))], shard))
    with pytest.raises(ValueError, match="end where"):
        list(format_.decode([io.BytesIO(whole + b"\0")], shard))


def test_declared_sizes_take_no_memory():
    """A manifest may speak of samples of a terabyte; the file is what counts."""
    format_ = WebdatasetFormat(FormatContext((2, 1 << 38), "int16", ("I", "II"), 500.0))
    member = tarfile.TarInfo("9.npy")
    member.size = format_._array_size
    data = tar_of(("9.json", b'{"index": 9}'))[:1024] + member.tobuf(tarfile.GNU_FORMAT) + bytes(3 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="ends too early"):
            list(format_.decode([io.BytesIO(data)], Shard(9, 1)))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


def test_words_of_another_version_are_read():
    """A dataset outlives the sentences that today's version writes."""
    format_, shard, samples, whole = formats("ecg", 1)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        array = archive.extractfile("9.npy").read()
    other = tar_of(("9.json", json.dumps({"index": 9, "synthetic": "in other words"}).encode()), ("9.npy", array))
    assert (next(format_.decode([io.BytesIO(other)], shard)) == samples[0]).all()


def test_samples_of_no_model_are_not_called_synthetic():
    _, _, _, whole = formats("ecg", 1)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        about = json.load(archive.extractfile("9.json"))
    assert about == {"index": 9, "lead_names": ["I", "II"], "sampling_rate_hz": 500.0, "unit": "microvolt"}


def test_a_run_is_not_resumed_in_other_words(generator, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        make(generator, tmp_path / "d", how={"system": RecordedSystem(40, Killed())})
    monkeypatch.setattr("dsb_fast._bulk.writers.provenance.SYNTHETIC", "other words")
    with pytest.raises(dsb_fast.DatasetError, match="encoder"):
        make(generator, tmp_path / "d")


@pytest.mark.parametrize(("kind", "given", "word"), [
    ("ecg", {"synthetic_mark": False}, "for images, not for ECGs"), ("ecg", {"compress_level": 3}, "for images"),
    ("image", {"compress_level": 10}, "compress_level"), ("image", {"grid": 2}, "no option is called grid"),
])  # fmt: skip
def test_wrong_options_leave_nothing(generators, tmp_path, kind, given, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        make(generators[kind], tmp_path / "d", format_options=given)
    assert not (tmp_path / "d").exists()


def test_the_writers_calls_are_few(generator, tmp_path):
    """Two writes a sample, not one for each header, file and padding."""
    system = RecordedSystem()
    make(generator, tmp_path / "d", how={"system": system})
    writes = Counter(path.rpartition("-")[2] for name, path in system.log if name == "write")
    assert writes["000000000.tar"] <= 3 * 3 + 1

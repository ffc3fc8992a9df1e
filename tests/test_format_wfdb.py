"""``wfdb``: records that package wfdb reads and would have written, and that ecgen-eval loads as they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import ecgen_eval
import jsonschema
import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.recorded_system import RecordedSystem
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run, verify
from dsb_fast._bulk.plan import Plan, Shard
from dsb_fast._bulk.read import open_files
from dsb_fast._bulk.writers import FormatContext, find
from dsb_fast.leads import LEADS_8, LEADS_12

pytestmark = pytest.mark.variant_independent


def make(generator, folder, count=7, *, shard_size=3, format="wfdb", how=None, **recipe):
    """A small dataset in ``folder``."""
    description, options, format_ = run.make_recipe(
        generator, count, format=format, shard_size=shard_size, seed=recipe.pop("seed", 5), **recipe
    )
    return run.generate_dataset(generator, str(folder), description, options, format_, **(how or {}))


def of(shape=(8, 5000), leads=LEADS_8, rate=500.0, **about):
    """The format for samples of ``shape``."""
    return find("wfdb")(FormatContext(shape, "int16", tuple(leads), rate, {}, about))


@pytest.fixture(scope="module")
def undisturbed(generator, tmp_path_factory):
    """Seven records, made in one go."""
    folder = tmp_path_factory.mktemp("undisturbed") / "d"
    assert make(generator, folder)
    return folder


@pytest.mark.parametrize(("leads", "names"), [(8, LEADS_8), (12, LEADS_12)])
def test_package_wfdb_reads_what_sample_returns(generator, tmp_path, leads, names):
    make(generator, tmp_path / "d", 5, start=8, leads=leads)
    expected = generator.sample(5, seed=5, start=8, leads=leads)
    for k, number in enumerate(range(8, 13)):
        record = wfdb.rdrecord(str(tmp_path / f"d/{number}"), physical=False)
        assert record.d_signal.dtype.kind == "i" and (record.d_signal == expected[k].T).all()
        assert (record.record_name, record.fs, record.sig_len, record.n_sig) == (str(number), 500, 5000, leads)
        assert record.sig_name == list(names) and record.units == ["mV"] * leads
        assert record.fmt == ["16"] * leads and record.adc_gain == [1000.0] * leads
        assert record.baseline == record.adc_zero == [0] * leads and record.adc_res == [16] * leads
        assert record.init_value == expected[k][:, 0].tolist()
        sums = expected[k].astype(np.int64).sum(axis=1)
        assert ((np.array(record.checksum) - sums) % 65536 == 0).all()
        assert all(-32768 <= c <= 32767 for c in record.checksum)  # header(5): "a 16-bit signed checksum"
        assert record.base_date is None and record.base_time is None
        signals, fields = wfdb.rdsamp(str(tmp_path / f"d/{number}"))
        assert (signals == expected[k].T / 1000).all()  # millivolts
        assert fields["fs"] == 500 and fields["units"] == ["mV"] * leads and fields["sig_name"] == list(names)


def test_package_wfdb_would_have_written_the_same(generator, undisturbed, tmp_path):
    """The .dat byte for byte; the header's lines but for the checksum, which it writes without a sign."""
    samples = generator.sample(7, seed=5)
    for number in (0, 6):
        ours = (undisturbed / f"{number}.hea").read_text().splitlines()
        wfdb.wrsamp(
            str(number),
            fs=500,
            units=["mV"] * 8,
            sig_name=list(LEADS_8),
            d_signal=samples[number].T,
            fmt=["16"] * 8,
            adc_gain=[1000.0] * 8,
            baseline=[0] * 8,
            comments=[line[2:] for line in ours if line.startswith("# ")],
            write_dir=str(tmp_path),
        )
        assert (tmp_path / f"{number}.dat").read_bytes() == (undisturbed / f"{number}.dat").read_bytes()
        theirs = (tmp_path / f"{number}.hea").read_text().splitlines()
        assert len(ours) == len(theirs)
        for our_line, their_line in zip(ours, theirs, strict=True):
            if our_line.startswith(f"{number}.dat"):
                our_fields, their_fields = our_line.split(), their_line.split()
                assert (int(our_fields.pop(6)) - int(their_fields.pop(6))) % 65536 == 0
                assert our_fields == their_fields
            else:
                assert our_line == their_line


def test_headers_say_what_made_them_and_keep_to_the_specification(generator, undisturbed):
    for number in range(7):
        raw = (undisturbed / f"{number}.hea").read_bytes()
        assert raw.isascii() and raw.endswith(b"\n") and b"\r" not in raw
        assert all(len(line) + 1 <= 255 for line in raw.split(b"\n"))  # header(5), with the linefeed
        comments = wfdb.rdheader(str(undisturbed / str(number))).comments
        text = " ".join(comments)
        info = generator.info
        for said in ("Synthetic data", "Model: cardiovascular.ecg", f"Weights SHA-256: {info['weights_sha256']}",
                     "Seed: 5", f"Sample: {number}", f"Licence of the weights: {info['licence']}",
                     f"Citation: {info['citation']}"):  # fmt: skip
            assert said in text, said
        assert re.fullmatch(rb"[0-9A-Za-z_]+", raw.split()[0])
    manifest = json.loads((undisturbed / "dataset.json").read_text())
    schema = Path(__file__).parent.parent / "docs/dataset.schema.json"
    jsonschema.validate(manifest, json.loads(schema.read_text()))


def test_long_and_foreign_words_become_lines_of_ascii(tmp_path):
    sample = np.arange(16, dtype=np.int16).reshape(1, 2, 8)
    format_ = of((2, 8), ("Ableitung Ä{0}", "x" * 300), 333.25, model="m", seed=0, title="Ångström 心\n# no",
                 citation="wort " * 300 + "y" * 600)  # fmt: skip
    dat, hea = (bytes(part) for part in format_.encode(sample, 3))
    (tmp_path / "3.dat").write_bytes(dat)
    (tmp_path / "3.hea").write_bytes(hea)
    assert hea.isascii() and all(len(line) < 255 for line in hea.split(b"\n"))
    record = wfdb.rdrecord(str(tmp_path / "3"), physical=False)
    assert record.fs == 333.25 and (record.d_signal == sample[0].T).all()
    assert record.sig_name == ["Ableitung A{0}", "x" * 40]
    assert "Title: Angstrom ? # no" in record.comments
    assert "".join(record.comments).count("wort") == 300 and "".join(record.comments).count("y") >= 600


@given(st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batch_size_and_threads_do_not_change_bytes(generator, undisturbed, tmp_path_factory, batch_size, threads):
    folder = tmp_path_factory.mktemp("set") / "d"
    make(generator, folder, how={"batch_size": batch_size, "threads": threads})
    assert tree(folder) == tree(undisturbed)


def test_a_header_never_names_a_file_that_is_not_there(generator, tmp_path):
    """Kills and full disks at every call: tests/test_faults.py."""
    system = RecordedSystem()
    make(generator, tmp_path / "d", 3, shard_size=2, how={"system": system})
    renamed = [os.path.basename(str(target)) for name, target in system.log if name == "rename"]
    for number in range(3):
        assert renamed.index(f"{number}.dat") < renamed.index(f"{number}.hea")
    assert renamed[-2:] == ["RECORDS", "dataset.json"]


def test_extended_equals_made_in_one_go(generator, undisturbed, tmp_path):
    make(generator, tmp_path / "d", 5)
    assert (tmp_path / "d/RECORDS").read_text().split() == list("01234")
    make(generator, tmp_path / "d", 7, how={"extend": True})
    assert tree(tmp_path / "d") == tree(undisturbed)


@pytest.mark.parametrize("name", ["3.dat", "3.hea", "RECORDS"])
@pytest.mark.parametrize("damage", ["missing", "flipped", "shorter", "longer"])
def test_damage_is_found_in_one_line_and_mended(generator, undisturbed, tmp_path, name, damage):
    make(generator, tmp_path / "d")
    assert verify.verify_dataset(str(tmp_path / "d"), sample=2)["samples"] == 7
    victim = tmp_path / "d" / name
    raw = bytearray(victim.read_bytes())
    victim.unlink()
    if damage != "missing":
        raw[len(raw) // 2] ^= damage == "flipped"
        victim.write_bytes({"shorter": raw[:-1], "longer": raw + b"#"}.get(damage, raw))
    with pytest.raises(
        dsb_fast.VerificationError, match="RECORDS" if name == "RECORDS" else "shard 000000003"
    ) as caught:
        verify.verify_dataset(str(tmp_path / "d"))
    assert "\n" not in str(caught.value)
    assert make(generator, tmp_path / "d") is True
    assert tree(tmp_path / "d") == tree(undisturbed)


@pytest.mark.parametrize(
    ("dat", "hea", "word"),
    [
        (lambda b: b[:-2], lambda b: b, "bytes"),
        (lambda b: b + b"\0\0", lambda b: b, "bytes"),
        (lambda b: bytes([b[0] ^ 1]) + b[1:], lambda b: b, "not that of its signals"),
        (lambda b: b[:7] + bytes([b[7] ^ 64]) + b[8:], lambda b: b, "not that of its signals"),  # checksum
        (lambda b: b, lambda b: b.replace(b"500 5000", b"250 5000"), "not that of its signals"),
        (lambda b: b, lambda b: b.replace(b"1000.0", b"2000.0", 1), "not that of its signals"),
        (lambda b: b, lambda b: b[:50], "not that of its signals"),
        (lambda b: b, lambda b: b[:-1], "comments"),
        (lambda b: b, lambda b: b + b"4.dat 16\n", "comments"),
    ],
)
def test_what_was_not_written_is_not_decoded(undisturbed, dat, hea, word, tmp_path):
    """Forged files whose checksums a manifest would bear out."""
    manifest = json.loads((undisturbed / "dataset.json").read_text())
    format_ = find("wfdb")(FormatContext.of(manifest))
    (tmp_path / "3.dat").write_bytes(dat((undisturbed / "3.dat").read_bytes()))
    (tmp_path / "3.hea").write_bytes(hea((undisturbed / "3.hea").read_bytes()))
    with pytest.raises(ValueError, match=word):
        list(format_.decode(open_files(str(tmp_path), ["3.dat", "3.hea"]), Shard(3, 1)))


def test_shapes_that_are_none_are_refused():
    for shape, leads, rate in (((8, -1), LEADS_8, 500.0), ((8,), LEADS_8, 500.0), ((9, 50), LEADS_8, 500.0),
                               ((8, 50), LEADS_8, None), ((8, 50), LEADS_8, float("nan"))):  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match="format wfdb"):
            of(shape, leads, rate)


def test_the_value_that_means_no_value_is_refused():
    samples = np.zeros((4, 2, 10), np.int16)
    format_ = of((2, 10), ("I", "II"))
    samples[2, 1, 3] = -32767
    assert (next(format_.decode(iter(_files(format_, samples[2:3], 9)), Shard(9, 1))) == samples[2]).all()
    samples[2, 1, 3] = -32768  # package wfdb reads it as nan
    with pytest.raises(dsb_fast.InputError, match="sample 9 has -32768"):
        format_.encode(samples, 7)


def _files(format_, samples, first):
    return [BytesIO(bytes(part)) for part in format_.encode(samples, first)]


@given(st.integers(1, 13), st.integers(1, 40), st.integers(0, 10**12), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_values_and_sizes_come_back(leads, length, first, seed):
    samples = np.random.default_rng(seed).integers(-32767, 32768, (3, leads, length)).astype(np.int16)
    format_ = of((leads, length), [f"lead {k}" for k in range(leads)], 250.0, model="m", seed=1)
    back = list(format_.decode(iter(_files(format_, samples, first)), Shard(first, 3)))
    assert (np.stack(back) == samples).all()
    assert [bytes(part) for part in format_.encode(samples, first)] == [
        bytes(part) for k in range(3) for part in format_.encode(samples[k : k + 1], first + k)
    ]


def test_index_of_a_billion_records_is_a_stream():
    name, pieces = next(of().index_files(Plan(7, 10**9, 256)))
    first, second = next(pieces), next(pieces)
    assert name == "RECORDS" and first.startswith(b"7\n8\n") and len(first) < 100_000
    assert int(second.split()[0]) == int(first.split()[-1]) + 1


def test_index_lists_the_records(undisturbed, generator, tmp_path):
    """As ``wfdb.get_record_list`` reads it of a database: a name a line, without suffix."""
    make(generator, tmp_path / "d", 5, start=8)
    names = (tmp_path / "d/RECORDS").read_text().splitlines()
    assert names == ["8", "9", "10", "11", "12"]
    assert all(wfdb.rdheader(str(tmp_path / "d" / name)).record_name == name for name in names)
    assert (undisturbed / "RECORDS").read_text().splitlines() == list("0123456")


def test_written_without_package_wfdb(tmp_path):
    code = (
        "import sys; sys.modules['wfdb'] = None; from dsb_fast._cli import main; "
        "sys.exit(main(['generate', 'cardiovascular.ecg', '-n', '2', '-o', 'd', '--format', 'wfdb']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert wfdb.rdrecord(str(tmp_path / "d/1")).p_signal.shape == (5000, 8)


@pytest.mark.parametrize("leads", [8, 12])
def test_ecgen_eval_reads_our_datasets_as_they_are(generator, tmp_path, leads):
    """npy: microvolts, shard after shard; wfdb: millivolts, records in alphabetical order."""
    expected = generator.sample(12, seed=5, leads=leads)
    names = list(LEADS_8 if leads == 8 else LEADS_12)
    for format_ in ("npy", "wfdb"):
        make(generator, tmp_path / format_, 12, shard_size=5, format=format_, leads=leads)
    arrays = ecgen_eval.load_ecg_folder(tmp_path / "npy")
    assert arrays.fs == 500 and arrays.lead_names == names
    assert (arrays.data == expected).all()
    one = ecgen_eval.load_ecg_npy(tmp_path / "npy/000000005.npy", max_samples=2)
    assert (one.data == expected[5:7]).all()
    assert (ecgen_eval.load_ecg_folder(tmp_path / "npy", max_samples=2).data == expected[:10]).all()  # of files
    for load in (ecgen_eval.load_ecg_folder, ecgen_eval.load_ecg_wfdb):
        records = load(tmp_path / "wfdb")
        order = [int(name) for name in records.file_names]
        assert order == sorted(range(12), key=str)
        assert records.fs == 500 and records.lead_names == names
        assert (records.data == (expected[order] / 1000).astype(np.float32)).all()
        assert (load(tmp_path / "wfdb", max_samples=3).data == records.data[:3]).all()


def test_ecgen_eval_finds_the_same_heart_rate_in_both(generator, tmp_path):
    for format_ in ("npy", "wfdb"):
        make(generator, tmp_path / format_, 4, format=format_)
    arrays, records = (ecgen_eval.load_ecg_folder(tmp_path / name) for name in ("npy", "wfdb"))
    metric = ecgen_eval.AVAILABLE_METRICS["heart_rate"]()
    result = metric.compute(arrays.data, records.data, lead_names=arrays.lead_names)
    rates = result.extra["II"]
    assert 30 < rates["real_hr_mean"] < 200
    assert rates["real_hr_mean"] == pytest.approx(rates["synth_hr_mean"], rel=1e-6)
    assert result.score == pytest.approx(0, abs=1e-6)

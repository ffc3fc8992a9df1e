"""WFDB records as inputs and results of ``convert`` and ``plot``, whoever wrote them."""

from __future__ import annotations

import os

import numpy as np
import pytest
import wfdb

import dsb_fast
from dsb_fast import _signal_file
from dsb_fast.leads import LEADS_8, LEADS_12, derive_12

pytestmark = pytest.mark.variant_independent


def write(folder, sample, names=LEADS_8, name="r", **fields):
    """A record by package wfdb."""
    count = len(sample)
    given = {"units": ["mV"] * count, "adc_gain": [1000.0] * count, "baseline": [0] * count, "fs": 500,
             "fmt": ["16"] * count, **fields}  # fmt: skip
    wfdb.wrsamp(name, sig_name=list(names), d_signal=sample.T, write_dir=str(folder), **given)
    return str(folder / f"{name}.hea")


@pytest.fixture
def sample():
    """Eight leads, 4 s at 250 Hz."""
    return np.random.default_rng(3).integers(-4000, 4000, (8, 1000)).astype(np.int16)


def test_records_of_package_wfdb_are_read(sample, tmp_path):
    recording = _signal_file.read(write(tmp_path, sample, fs=250, comments=["Age: 56"]))
    assert (recording.signal_uv == sample[None]).all() and recording.signal_uv.dtype == np.int16
    assert recording.lead_names == LEADS_8 and recording.sampling_rate_hz == 250
    upper = write(tmp_path, derive_12(sample), [lead.upper() for lead in LEADS_12], "ptb")  # as PTB-XL spells them
    assert _signal_file.read(upper).lead_names == LEADS_12


@pytest.mark.parametrize(
    ("gain", "baseline", "unit", "microvolts"),
    [(1000.0, 0, "mV", lambda d: d), (200.0, 1024, "mV", lambda d: (d - 1024) * 5), (1.0, -7, "uV", lambda d: d + 7),
     (0.5, 0, "uV", lambda d: d * 2)],
)  # fmt: skip
def test_gain_baseline_and_unit_count(sample, tmp_path, gain, baseline, unit, microvolts):
    path = write(tmp_path, sample, adc_gain=[gain] * 8, baseline=[baseline] * 8, units=[unit] * 8)
    assert (_signal_file.read(path).signal_uv[0] == microvolts(sample.astype(int))).all()
    if unit == "mV":
        physical = wfdb.rdrecord(path[:-4]).p_signal.T * 1000
        assert np.allclose(physical, microvolts(sample.astype(int)), atol=1e-6)


def test_bytes_before_the_signals_are_skipped(sample, tmp_path):
    """As the .mat files of PhysioNet's challenges have them."""
    (tmp_path / "r.mat").write_bytes(bytes(24) + sample.T.astype("<i2").tobytes())
    lines = [
        "r 8 500 1000",
        *(f"r.mat 16+24 1000/mV 16 0 {s[0]} 0 0 {n}" for s, n in zip(sample, LEADS_8, strict=True)),
    ]
    (tmp_path / "r.hea").write_text("\n".join([*lines, "#Age: 56", ""]))
    assert (wfdb.rdrecord(str(tmp_path / "r"), physical=False).d_signal == sample.T).all()
    assert (_signal_file.read(str(tmp_path / "r.hea")).signal_uv[0] == sample).all()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda h: h.replace("r.dat 16", "r.dat 212"), "format 212"),
        (lambda h: h.replace("r.dat", "../r.dat"), "not in its folder"),
        (lambda h: h.replace("r.dat", "/etc/passwd"), "not in its folder"),
        (lambda h: h.replace("r.dat", ".."), "not in its folder"),
        (lambda h: h.replace("r.dat", "s.dat"), "missing"),
        (lambda h: h.replace("r.dat", "r.hea", 1), "several files"),
        (lambda h: h.replace("500 1000", "500 1001"), "announced"),
        (lambda h: h.replace("500 1000", "500 999999999999"), "announced"),
        (lambda h: h.replace("500 1000", "500 999"), "checksum"),
        (lambda h: h.replace("r 8 ", "r/3 8 "), "segments"),
        (lambda h: h.replace("r 8 ", "r 9 "), "described"),
        (lambda h: h.replace("r 8 ", "r 0 "), "described"),
        (lambda h: h.replace("mV", "mmHg"), "mmHg"),
        (lambda h: h.replace("1000.0", "1001.0"), "whole"),
        (lambda h: h.replace("1000.0", "1.0"), "whole"),
        (lambda h: h.replace("1000.0", "..."), "float"),
        (lambda h: h.replace("(0)", "(999999999)"), "whole"),
        (lambda h: h.replace("500 1000", "... 1000"), "float"),
        (lambda h: h.replace("500 1000", "9" * 400 + " 1000"), "too large"),
        (lambda h: h.replace("1000.0", "9" * 400), "too large"),
        (lambda h: h.replace(" I\n", " lead\n"), "leads lead, II"),
        (lambda h: "# nothing\n", "no record line"),
        (lambda h: "\0\xff", "no record line"),
        (lambda h: h + "#" * (1 << 20), "1 MiB"),
    ],
)
def test_broken_and_foreign_headers_are_named(command, one_line, sample, tmp_path, change, word):
    path = write(tmp_path, sample)
    with open(path, encoding="latin-1") as file:
        header = file.read()
    with open(path, "w", encoding="latin-1") as file:
        file.write(change(header))
    line = one_line(command("convert", "r.hea", "-o", "out"), 2)
    assert line.startswith("dsb-fast: r.hea: ") and word in line, line
    assert not os.listdir(tmp_path / "out")


def test_missing_values_and_damage_are_refused(sample, tmp_path):
    path = write(tmp_path, sample)
    raw = bytearray((tmp_path / "r.dat").read_bytes())
    raw[100] ^= 1
    (tmp_path / "r.dat").write_bytes(raw)
    with pytest.raises(dsb_fast.InputError, match="damaged"):
        _signal_file.read(path)
    sample[3, 500] = -32768
    with pytest.raises(dsb_fast.InputError, match="missing values"):
        _signal_file.read(write(tmp_path, sample))


def test_convert_to_and_from_records(command, one_line, generator, tmp_path):
    command("generate", "cardiovascular.ecg", "-n", 2, "-o", "d", check=0)
    command("convert", "d/0.asc", "d/1.asc", "-o", "out", "--format", "wfdb", check=0)
    expected = generator.sample(2, leads=12)
    for k in range(2):
        record = wfdb.rdrecord(str(tmp_path / f"out/{k}"), physical=False)
        assert (record.d_signal == expected[k].T).all() and record.sig_name == list(LEADS_12) and record.fs == 500
        said = " ".join(record.comments)
        assert "Synthetic data" in said and "Model: cardiovascular.ecg" in said and "Sample" not in said
    assert sorted(os.listdir(tmp_path / "out")) == ["0.dat", "0.hea", "1.dat", "1.hea"]
    command("convert", "out/0.hea", "out/1.hea", "-o", "back", "--leads", 8, "--format", "asc", check=0)
    for k in range(2):
        assert (tmp_path / f"back/{k}.asc").read_bytes() == (tmp_path / f"d/{k}.asc").read_bytes()
    command("convert", "out/0.hea", "-o", "eight", "--leads", 8, check=0)  # stays what it is
    assert (wfdb.rdrecord(str(tmp_path / "eight/0"), physical=False).d_signal == generator.sample(1)[0].T).all()
    assert "itself" in one_line(command("convert", "out/0.hea", "-o", "out"), 2)
    (tmp_path / "eight/0.hea").unlink()
    assert "0.dat" in one_line(command("convert", "out/0.hea", "-o", "eight"), 2)
    command("plot", "out/0.hea", check=0)
    assert (tmp_path / "out/0.png").exists()


def test_several_samples_become_a_folder_of_records(command, one_line, sample, tmp_path):
    np.save(tmp_path / "real.npy", np.stack([sample, sample + 1]))
    command("convert", "real.npy", "-o", "out", "--leads", 8, "--format", "wfdb", check=0)
    names = (tmp_path / "out/real/RECORDS").read_text().split()
    assert names == ["0", "1"]
    for k, name in enumerate(names):
        record = wfdb.rdrecord(str(tmp_path / "out/real" / name), physical=False)
        assert (record.d_signal == sample.T + k).all()
        assert record.comments == []  # nothing says that these are synthetic
    os.rename(tmp_path / "real.npy", tmp_path / "a b.npy")
    assert "rename" in one_line(command("convert", "a b.npy", "-o", "out", "--format", "wfdb"), 2)

"""``edf``: files that edfio and EDFlib read, with the fields that the specifications ask for."""

from __future__ import annotations

import io
from fractions import Fraction
from types import SimpleNamespace

import edfio
import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsb_fast
from dsb_fast._bulk import run
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.writers import FormatContext, find
from dsb_fast._bulk.writers.edf import record_length
from dsb_fast.leads import LEADS_8, LEADS_12

pytestmark = pytest.mark.variant_independent

SEED = 5


@pytest.fixture(scope="module")
def made(generator, tmp_path_factory):
    """Folders of five samples from number 8 on, by leads."""
    folders = {}
    for leads in (8, 12):
        folders[leads] = tmp_path_factory.mktemp(f"leads{leads}") / "d"
        recipe, options, format_ = run.make_recipe(generator, 5, SEED, 8, "edf", 3, leads=leads)
        run.generate_dataset(generator, str(folders[leads]), recipe, options, format_)
    return folders


def of(shape=(2, 50), rate=500.0, leads=None, **about):
    """The format for samples of ``shape``."""
    return find("edf")(FormatContext(shape, "int16", tuple(leads or LEADS_12[: shape[0]]), rate, about=about))


@pytest.mark.parametrize("leads", [8, 12])
def test_edfio_reads_what_sample_returns(generator, made, leads):
    expected = generator.sample(5, SEED, 8, leads=leads)
    names = LEADS_8 if leads == 8 else LEADS_12
    for number in range(8, 13):
        edf = edfio.read_edf(made[leads] / f"{number}.edf")
        assert edf.labels == tuple(f"ECG {name}" for name in names)
        for signal, values in zip(edf.signals, expected[number - 8], strict=True):
            assert (signal.digital == values).all() and (signal.data == values).all()
            assert signal.sampling_frequency == 500 and signal.physical_dimension == "uV"
            assert signal.transducer_type == "synthetic" and signal.prefiltering == ""
        assert (edf.duration, edf.data_record_duration, edf.num_data_records) == (10, 1, 10)
        assert edf.reserved == "EDF+C" and str(edf.starttime) == "00:00:00"
        with pytest.raises(edfio.AnonymizedDateError):
            _ = edf.startdate


@pytest.mark.parametrize("leads", [8, 12])
def test_edflib_reads_what_sample_returns(generator, made, leads):
    expected = generator.sample(5, SEED, 8, leads=leads)
    for number in (8, 12):
        with pyedflib.EdfReader(str(made[leads] / f"{number}.edf")) as file:
            assert file.filetype == pyedflib.FILETYPE_EDFPLUS and file.signals_in_file == leads
            for k in range(leads):
                assert (file.readSignal(k, digital=True) == expected[number - 8, k]).all()
                assert (file.readSignal(k) == expected[number - 8, k]).all()
            assert (file.getSampleFrequencies() == 500).all() and file.getFileDuration() == 10
            assert file.getPatientCode() == f"SYNTHETIC-{number}" and file.getPatientName() == "Synthetic"
            assert file.getAdmincode() == f"seed-{SEED}" and file.getEquipment() == "dsb-fast"
            assert file.getStartdatetime().isoformat() == "1985-01-01T00:00:00"


def test_annotations_say_that_it_is_synthetic_and_what_made_it(generator, made):
    info = generator.info
    texts = {a.text for a in edfio.read_edf(made[8] / "9.edf").annotations}
    assert any(text.startswith("Synthetic data") for text in texts)
    assert {f"Model: {info['model']}", f"Weights SHA-256: {info['weights_sha256']}", f"Seed: {SEED}",
            f"Title: {info['title']}", f"Licence of the weights: {info['licence']}",
            f"Citation: {info['citation']}"} <= texts  # fmt: skip
    with pyedflib.EdfReader(str(made[8] / "9.edf")) as file:
        onsets, _, read = file.readAnnotations()
    assert set(read) == texts and (onsets == 0).all()


def test_header_is_what_the_specification_says(made):
    """Field for field by its place, after Kemp et al. 1992 and section 2.1 of Kemp and Olivan 2003."""
    data = (made[8] / "10.edf").read_bytes()
    assert data[:2304].isascii() and all(32 <= byte < 127 for byte in data[:2304])
    fields = [data[a:b].decode().rstrip() for a, b in
              ((0, 8), (8, 88), (88, 168), (168, 176), (176, 184), (184, 192), (192, 236), (236, 244), (244, 252),
               (252, 256))]  # fmt: skip
    assert fields == ["0", "SYNTHETIC-10 X X Synthetic", f"Startdate X seed-{SEED} X dsb-fast cardiovascular.ecg",
                      "01.01.85", "00.00.00", str(10 * 256), "EDF+C", "10", "1", "9"]  # fmt: skip
    signals, at = {}, 256
    for name, width in (("label", 16), ("transducer", 80), ("unit", 8), ("low", 8), ("high", 8), ("digital low", 8),
                        ("digital high", 8), ("filter", 80), ("values", 8), ("reserved", 32)):  # fmt: skip
        signals[name] = [data[at + k * width : at + (k + 1) * width].decode().rstrip() for k in range(9)]
        at += 9 * width
    assert signals["label"][8] == "EDF Annotations" and set(signals["unit"][:8]) == {"uV"}
    assert set(signals["low"][:8]) == set(signals["digital low"]) == {"-32768"}
    assert set(signals["high"][:8]) == set(signals["digital high"]) == {"32767"}
    assert set(signals["values"][:8]) == {"500"}
    assert len(data) == at + 10 * 2 * (8 * 500 + int(signals["values"][8]))
    assert 2 * (12 * 500 + int(signals["values"][8])) <= 61440


def test_edfio_itself_would_have_written_the_same(generator, made):
    """Of the samples as physical values."""
    ours = edfio.read_edf(made[8] / "11.edf")
    signals = [
        edfio.EdfSignal(values.astype(float), 500, label=f"ECG {name}", transducer_type="synthetic",
                        physical_dimension="uV", physical_range=(-32768, 32767), digital_range=(-32768, 32767))
        for values, name in zip(generator.sample(1, SEED, 11)[0], LEADS_8, strict=True)
    ]  # fmt: skip
    file = io.BytesIO()
    edfio.Edf(
        signals, patient=ours.patient, recording=ours.recording, data_record_duration=1, annotations=ours.annotations
    ).write(file)
    assert file.getvalue() == (made[8] / "11.edf").read_bytes()


@pytest.mark.parametrize(
    ("rate", "length", "leads", "record"),
    [
        (500.0, 5000, 12, 500),
        (250.0, 2500, 8, 250),
        (500.0, 7500, 8, 500),
        (128.0, 2500, 8, 2500),  # no whole second is in it: 19.53125 s
        (250.0, 5000, 100, 250),
        (5000.0, 5000, 12, 2500),  # a second would take 120 kB
        (500.0, 60, 8, 60),
        (0.5, 10, 2, 10),
        (360.0, 2500, 8, None),  # 2500/360 s has no end
        (333.25, 2500, 8, None),
        (97.0, 2500, 3, None),
        (float("nan"), 2500, 8, None),
        (float("inf"), 2500, 8, None),
        (-500.0, 2500, 8, None),
        (500.0, 10**12, 8, None),
        (500.0, 5000, 10**6, None),
    ],
)
def test_length_of_a_data_record(rate, length, leads, record):
    assert record_length(rate, length, leads) == record


@given(st.integers(1, 20), st.integers(1, 400), st.sampled_from([100, 125, 128, 200, 250, 256, 360, 500, 62.5, 1000]))
@settings(max_examples=40, deadline=None)
def test_any_length_and_rate_is_read_as_written_or_refused(leads, length, rate):
    samples = np.arange(leads * length, dtype=np.int16).reshape(1, leads, length)
    names = [f"V{k}" for k in range(leads)]
    try:
        format_ = of((leads, length), float(rate), names, model="m", seed=1)
    except dsb_fast.InputError as error:
        assert "\n" not in str(error) and str(error).startswith("format edf: ")
        assert Fraction(length) / Fraction(str(rate)) * 10**6 % 1 != 0
        return
    data = bytes(format_.encode(samples, 7)[0])
    edf = edfio.read_edf(data)
    assert (np.stack([signal.digital for signal in edf.signals]) == samples[0]).all()
    assert [signal.sampling_frequency for signal in edf.signals] == pytest.approx([rate] * leads, rel=1e-15)


def test_foreign_words_become_ascii_and_fit_their_fields(tmp_path):
    samples = np.zeros((1, 2, 50), np.int16)
    format_ = of(leads=("Ableitung Ä~ " + "x" * 30, ""), model="~ein Modell 心 " * 9, seed=2**64 - 1, title="t" * 900)
    (tmp_path / "a.edf").write_bytes(bytes(format_.encode(samples, 10**19)[0]))
    edf = edfio.read_edf(tmp_path / "a.edf")
    assert edf.labels == ("ECG Ableitung A-", "ECG") and edf.patient.code == f"SYNTHETIC-{10**19}"
    assert edf.recording.hospital_administration_code == f"seed-{2**64 - 1}"
    assert edf.recording.additional == ("-ein_Modell_?_-ein_Modell_?_-e",)
    with pyedflib.EdfReader(str(tmp_path / "a.edf")) as file:
        assert any(text.startswith("Title: ttt") for text in file.readAnnotations()[2])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda b: b[:-2], "bytes"),
        (lambda b: b + b"\0\0", "bytes"),
        (lambda b: b[:100], "early"),
        (lambda b: b.replace(b"SYNTHETIC-3 ", b"SYNTHETIC-4 "), "not of sample 3"),
        (lambda b: b.replace(b"-32768  ", b"-3276   ", 1), "another header"),
        (lambda b: b.replace(b"uV      ", b"mV      ", 1), "another header"),
        (lambda b: b.replace(b"ECG II ", b"ECG V1 ", 1), "another header"),
        (lambda b: b.replace(b"EDF+C", b"EDF+D"), "another header"),
        (lambda b: b[:984] + b"-9      " + b[992:], "annotations|header"),
    ],
)
def test_what_was_not_written_is_not_decoded(change, word):
    format_ = of(model="m", seed=1)
    data = bytes(format_.encode(np.zeros((1, 2, 50), np.int16), 3)[0])
    changed = change(data)
    assert changed != data
    with pytest.raises(ValueError, match=word):
        list(format_.decode([io.BytesIO(changed)], Shard(3, 1)))


def test_words_of_another_version_are_read():
    samples = np.arange(200, dtype=np.int16).reshape(1, 2, 100)
    data = bytes(of((2, 100), model="m", seed=1, title="other words").encode(samples, 3)[0])
    assert (next(of((2, 100), model="m", seed=1).decode([io.BytesIO(data)], Shard(3, 1))) == samples[0]).all()


def test_other_checkpoints_rates_are_refused_before_anything_is_made(tmp_path, generator):
    model = SimpleNamespace(**{name: getattr(generator.model, name) for name in
                               ("name", "default_format", "dtype", "options", "sample_shape", "info")})  # fmt: skip
    model.context = lambda chosen: {**generator.model.context(chosen), "sampling_rate_hz": 360.0}
    other = SimpleNamespace(model=model, backend=generator.backend, graph_sha256="", precision="fp32", flavour="fused")
    with pytest.raises(dsb_fast.InputError, match=r"format edf: 5000 values at 360\.0 Hz") as caught:
        run.make_recipe(other, 2, format="edf")
    assert "\n" not in str(caught.value) and "wfdb" in str(caught.value)

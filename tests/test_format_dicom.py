"""``dicom``: instances that pydicom reads strictly, with what PS3.3 asks of an ECG, marked as synthetic."""

from __future__ import annotations

import io
import itertools
import json
import uuid

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.sr.codedict import codes

import dsb_fast
from dsb_fast._bulk import run
from dsb_fast._bulk.plan import Shard
from dsb_fast._bulk.writers import FormatContext, find
from dsb_fast.leads import LEADS_8, LEADS_12

pytestmark = pytest.mark.variant_independent

SEED = 5
TWELVE_LEAD, GENERAL = "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.9.1.2"
# Attributes of the mandatory modules: Patient, General Study, General Series, General Equipment, Waveform
# Identification, Waveform, Acquisition Context, SOP Common. Type 1 has a value, type 2 is there.
TYPE_1 = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "InstanceNumber", "ContentDate", "ContentTime",
          "AcquisitionDateTime", "WaveformSequence", "SOPClassUID", "SOPInstanceUID")  # fmt: skip
TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
          "ReferringPhysicianName", "AccessionNumber", "SeriesNumber", "Manufacturer",
          "AcquisitionContextSequence")  # fmt: skip
GROUP_1 = ("WaveformOriginality", "NumberOfWaveformChannels", "NumberOfWaveformSamples", "SamplingFrequency",
           "ChannelDefinitionSequence", "WaveformBitsAllocated", "WaveformSampleInterpretation",
           "WaveformData")  # fmt: skip
CHANNEL_1 = ("ChannelSourceSequence", "ChannelSensitivity", "ChannelSensitivityUnitsSequence", "ChannelSampleSkew",
             "ChannelSensitivityCorrectionFactor", "ChannelBaseline", "WaveformBitsStored")  # fmt: skip


@pytest.fixture(autouse=True)
def strict():
    """pydicom raises where it would warn."""
    kept = config.settings.reading_validation_mode, config.settings.writing_validation_mode
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.RAISE
    yield
    config.settings.reading_validation_mode, config.settings.writing_validation_mode = kept


@pytest.fixture(scope="module")
def made(generator, tmp_path_factory):
    """Folders of five samples from number 8 on, by leads."""
    folders = {}
    for leads in (8, 12):
        folders[leads] = tmp_path_factory.mktemp(f"leads{leads}") / "d"
        recipe, options, format_ = run.make_recipe(generator, 5, SEED, 8, "dicom", 3, leads=leads)
        run.generate_dataset(generator, str(folders[leads]), recipe, options, format_)
    return folders


def of(shape=(2, 50), rate=500.0, leads=None, **about):
    """The format for samples of ``shape``."""
    return find("dicom")(FormatContext(shape, "int16", tuple(leads or LEADS_12[: shape[0]]), rate, about=about))


def read(format_, sample, number=3):
    """What pydicom makes of the file of a sample."""
    return pydicom.dcmread(io.BytesIO(format_.encode(sample[None], number)[0]))


@pytest.mark.parametrize("leads", [8, 12])
def test_pydicom_reads_what_sample_returns(generator, made, leads):
    expected = generator.sample(5, SEED, 8, leads=leads)
    for number in range(8, 13):
        dataset = pydicom.dcmread(made[leads] / f"{number}.dcm")
        assert (dataset.waveform_array(0) == expected[number - 8].T).all()  # in the unit of the sensitivity
        (group,) = dataset.WaveformSequence
        raw = np.frombuffer(group.WaveformData, "<i2").reshape(5000, leads)
        assert (raw == expected[number - 8].T).all() and group["WaveformData"].VR == "OW"
        assert dataset.SOPClassUID == (GENERAL if leads == 8 else TWELVE_LEAD)
        assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize("leads", [8, 12])
def test_attributes_that_the_standard_demands_are_there(made, leads):
    """PS3.3 A.34.3 and A.34.4: the mandatory modules, and the constraints of content."""
    dataset = pydicom.dcmread(made[leads] / "9.dcm")
    for name in TYPE_1:
        assert dataset[name].value not in ("", None), name
    assert all(name in dataset for name in TYPE_2)
    (group,) = dataset.WaveformSequence
    for name in GROUP_1:
        assert group[name].value not in ("", None), name
    assert dataset.Modality == "ECG" and group.WaveformSampleInterpretation == "SS"
    assert (group.NumberOfWaveformChannels, group.NumberOfWaveformSamples) == (leads, 5000)
    assert group.SamplingFrequency == 500 and group.WaveformBitsAllocated == 16
    assert len(group.ChannelDefinitionSequence) == leads
    for channel in group.ChannelDefinitionSequence:
        for name in CHANNEL_1:
            assert channel[name].value not in ("", None), name
        assert channel.WaveformBitsStored == 16 and channel.ChannelSensitivity == 1
        (unit,) = channel.ChannelSensitivityUnitsSequence
        assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("uV", "UCUM")
    assert (dataset.ContentDate, dataset.ContentTime) == ("19850101", "000000")
    assert dataset.AcquisitionDateTime == "19850101000000" and dataset.StudyDate == dataset.PatientBirthDate == ""


@pytest.mark.parametrize("leads", [8, 12])
def test_channels_have_the_codes_of_cid_3001_and_derived_ones_say_so(made, leads):
    known = {getattr(codes.cid3001, name) for name in codes.cid3001.dir()}
    (group,) = pydicom.dcmread(made[leads] / "8.dcm").WaveformSequence
    names = LEADS_8 if leads == 8 else LEADS_12
    derived = []
    for k, (channel, name) in enumerate(zip(group.ChannelDefinitionSequence, names, strict=True), 1):
        (source,) = channel.ChannelSourceSequence
        (code,) = (c for c in known if c.value == source.CodeValue)
        assert (code.scheme_designator, code.meaning) == (source.CodingSchemeDesignator, source.CodeMeaning)
        assert code.meaning.removeprefix("Lead ").split(",")[0] == name
        assert (channel.WaveformChannelNumber, channel.ChannelLabel, channel.ChannelStatus) == (k, name, "TEST DATA")
        if "ChannelDerivationDescription" in channel:
            derived.append((name, channel.ChannelDerivationDescription))
    assert [name for name, _ in derived] == ([] if leads == 8 else ["III", "aVR", "aVL", "aVF"])
    assert all(text.startswith("Derived: ") for _, text in derived)


def test_attributes_say_that_it_is_synthetic_and_what_made_it(generator, made):
    dataset, info = pydicom.dcmread(made[8] / "10.dcm"), generator.info
    assert dataset.SyntheticData == "YES"
    assert dataset.PatientName == "SYNTHETIC^10" and dataset.PatientID.startswith("SYNTHETIC-")
    assert dataset.PatientID.endswith("-10") and dataset.PatientComments.startswith("Synthetic data")
    assert dataset.ManufacturerModelName == info["model"] and "Synthetic" in dataset.SeriesDescription
    said = dataset.AcquisitionContextDescription
    for name in ("model", "title", "licence", "weights_sha256", "citation"):
        assert info[name] in said
    assert said.startswith("Synthetic data") and f"Seed: {SEED}" in said


def test_identifiers_follow_from_the_recipe_and_are_of_one_sample_each(generator, made, tmp_path):
    """UUIDs of version 8 under 2.25 (PS3.5 B.2, RFC 9562)."""
    seen = set()
    for seed, leads in ((SEED, 8), (SEED + 1, 8), (SEED, 12)):
        folder = tmp_path / f"{seed}-{leads}"
        recipe, options, format_ = run.make_recipe(generator, 3, seed, 9, "dicom", 1, leads=leads)
        run.generate_dataset(generator, str(folder), recipe, options, format_)
        for number in (9, 10, 11):
            dataset = pydicom.dcmread(folder / f"{number}.dcm")
            uids = {dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID}
            assert all(uid.is_valid and len(uid) <= 64 and uid.startswith("2.25.") for uid in uids)
            assert {uuid.UUID(int=int(uid[5:])).variant for uid in uids} == {uuid.RFC_4122}
            assert {uuid.UUID(int=int(uid[5:])).version for uid in uids} == {8}
            seen |= uids | {dataset.PatientID}
            if seed == SEED:  # whatever the dataset, the sample's file is the same
                assert (folder / f"{number}.dcm").read_bytes() == (made[leads] / f"{number}.dcm").read_bytes()
    assert len(seen) == 3 * 3 * 4


def test_pydicom_itself_would_have_written_the_same(made):
    for leads, number in itertools.product((8, 12), (8, 12)):
        path, file = made[leads] / f"{number}.dcm", io.BytesIO()
        pydicom.dcmwrite(file, pydicom.dcmread(path), enforce_file_format=True)
        assert file.getvalue() == path.read_bytes()


def test_no_date_time_or_version_is_in_it(made):
    dataset = pydicom.dcmread(made[12] / "8.dcm")
    for element in dataset.iterall():
        if element.VR in ("DA", "DT", "TM"):
            assert element.value in ("", "19850101", "000000", "19850101000000"), element
    assert pydicom.__version__.encode() not in (made[12] / "8.dcm").read_bytes()[:600]
    assert dataset.file_meta.ImplementationVersionName == "DSB-FAST"
    assert dataset.file_meta.ImplementationClassUID == f"2.25.{uuid.uuid5(uuid.NAMESPACE_DNS, 'dsb-fast').int}"


@pytest.mark.parametrize(
    ("leads", "length", "sop_class"),
    [(12, 16384, TWELVE_LEAD), (12, 16385, GENERAL), (11, 50, GENERAL), (1, 1, GENERAL), (8, 7500, GENERAL)],
)
def test_instances_are_of_the_class_that_can_hold_them(leads, length, sop_class):
    sample = np.arange(leads * length).reshape(leads, length).astype(np.int16)
    dataset = read(of((leads, length), 250.5, model="m", seed=1), sample)
    assert dataset.SOPClassUID == sop_class and dataset.WaveformSequence[0].SamplingFrequency == 250.5
    assert (dataset.waveform_array(0) == sample.T).all()


@pytest.mark.parametrize(
    ("shape", "rate", "leads", "word"),
    [
        ((2, 50), 199.0, None, "200 to 1000 Hz"),
        ((2, 50), 1001.0, None, "200 to 1000 Hz"),
        ((2, 50), None, None, "200 to 1000 Hz"),
        ((2, 50), float("nan"), None, "200 to 1000 Hz"),
        ((2, 50), 1000 / 3, None, "200 to 1000 Hz"),  # has no 16 characters
        ((2, 50), 500.0, ("I", "MLII"), "leads MLII; up to 24 of I, II"),
        ((25, 50), 500.0, ("I",) * 25, "up to 24"),
        ((3, 50), 500.0, ("I", "II"), "2 lead names"),
    ],
)
def test_what_no_ecg_of_dicom_can_hold_is_refused(shape, rate, leads, word):
    with pytest.raises(dsb_fast.InputError, match=word) as caught:
        of(shape, rate, leads)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("format dicom: ")


def test_foreign_words_keep_to_their_elements():
    words = {"title": "Ångström \\ ~~~ 心\n" * 9, "citation": "x" * 3000, "licence": "l^m=n"}
    dataset = read(of(model="~\\" * 90, seed=2**64 - 1, **words), np.zeros((2, 50), np.int16), 10**19)
    assert dataset.PatientName == f"SYNTHETIC^{10**19}" and len(dataset.PatientID) <= 64
    assert dataset.ManufacturerModelName == "-/" * 32 and len(dataset.AcquisitionContextDescription) <= 1024
    assert "Angstrom / --- ?" in dataset.AcquisitionContextDescription
    dataset = read(of(), np.zeros((2, 50), np.int16))  # no model: nothing is said
    assert "SyntheticData" not in dataset and dataset.PatientName == "ECG^3"


def _resaved(change, **how) -> bytes:
    """The file of a sample of zeros, changed with pydicom."""
    dataset = read(of(model="m", seed=1), np.zeros((2, 50), np.int16))
    change(dataset)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True, **how)
    return file.getvalue()


def _deflated(dataset):
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00420011, "OB", bytes(10**6))


def _nested(dataset):
    inner = dataset
    for _ in range(200):
        inner.ContentSequence = [pydicom.Dataset()]
        inner = inner.ContentSequence[0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: None, None),
        (lambda d: setattr(d, "PatientComments", "other words"), None),
        (lambda d: setattr(d, "SOPInstanceUID", "2.25.7"), r"\(0002,0003\)"),
        (lambda d: setattr(d, "SOPClassUID", TWELVE_LEAD), r"\(0002,0002\)"),
        (lambda d: setattr(d, "PatientID", "SYNTHETIC-4"), r"\(0010,0020\)"),
        (lambda d: setattr(d.WaveformSequence[0], "SamplingFrequency", "250"), "another way"),
        (lambda d: setattr(d.WaveformSequence[0].ChannelDefinitionSequence[1], "ChannelSensitivity", "2"), "another"),
        (lambda d: setattr(d.WaveformSequence[0].ChannelDefinitionSequence[1], "ChannelLabel", "V1"), "another way"),
        (lambda d: setattr(d.WaveformSequence[0], "WaveformData", bytes(198)), "bytes|another"),
        (lambda d: d.WaveformSequence.append(d.WaveformSequence[0]), "another way|bytes"),
        (lambda d: d.add_new(0x7FE00010, "OB", bytes(70_000)), "bytes"),
        (_deflated, r"bytes|describes"),
        (_nested, "other sequences"),
    ],
)
def test_files_of_others_are_read_or_refused_in_one_line(change, word):
    """Without pydicom, which would inflate and nest whatever they say."""
    data, format_ = _resaved(change), of(model="m", seed=1)
    if word is None:
        assert not next(format_.decode([io.BytesIO(data)], Shard(3, 1))).any()
        return
    with pytest.raises(ValueError, match=word) as caught:
        list(format_.decode([io.BytesIO(data)], Shard(3, 1)))
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_begin_is_refused(begin):
    format_ = of(model="m", seed=1)
    data = format_.encode(np.zeros((1, 2, 50), np.int16), 3)[0]
    for forged in (begin, begin + bytes(200), data[:132] + begin + data[132:]):
        if begin:
            with pytest.raises(ValueError):
                list(format_.decode([io.BytesIO(forged)], Shard(3, 1)))


def test_the_manifest_decodes_what_another_version_worded(made):
    """Identifiers and what is compared follow from the recipe, not from words."""
    manifest = json.loads((made[8] / "dataset.json").read_text())
    reworded = find("dicom")(FormatContext.of({**manifest, "title": "x", "citation": "y", "licence": "z"}))
    with (made[8] / "8.dcm").open("rb") as file:
        assert next(reworded.decode([file], Shard(8, 1))).shape == (8, 5000)

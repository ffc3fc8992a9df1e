"""``dicom``: an instance of an ECG waveform a sample, ``<id>.dcm``, explicit VR little endian, values in microvolts.

After DICOM PS3.3 A.34.3, A.34.4 and C.10.9. Package pydicom makes one file of zeros; numbers, identifiers and samples
are put into copies of it, which is what it would write and takes a small part of the time (docs/formats.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from functools import cached_property

import numpy as np

from ..._errors import InputError
from ..._synthetic import SOFTWARE, SYNTHETIC
from ...leads import LEADS_12
from .base import SIGNAL, Format
from .provenance import plain_ascii, sentences
from .reading import read_exactly

_TWELVE_LEAD, _GENERAL = "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.9.1.2"  # SOP classes
_MAX_TWELVE_LENGTH, _MAX_LEADS, _RATES = 16384, 24, (200, 1000)  # PS3.3 A.34.3.4 and A.34.4.4
# CID 3001 of PS3.16: codes of ISO/IEEE 11073-10102.
_LEAD_CODES = {
    "I": ("2:1", "Lead I"),
    "II": ("2:2", "Lead II"),
    "III": ("2:61", "Lead III"),
    "aVR": ("2:62", "aVR, augmented voltage, right"),
    "aVL": ("2:63", "aVL, augmented voltage, left"),
    "aVF": ("2:64", "aVF, augmented voltage, foot"),
    **{f"V{k}": (f"2:{k + 2}", f"Lead V{k}") for k in range(1, 7)},
}
_DERIVED = {
    "III": "Derived: II - I",
    "aVR": "Derived: -(I + II)/2, half cut toward zero",
    "aVL": "Derived: I - II/2, half cut toward zero",
    "aVF": "Derived: II - I/2, half cut toward zero",
}
_DATE, _TIME = "19850101", "000000"  # where one must stand; EDF's word for "unknown"
_IMPLEMENTATION = "2.25.156844873870432032002737044411393814928"  # UUID of version 5 of "dsb-fast" as a DNS name
# What a sample depends on, of a recipe: equal samples have equal identifiers.
_IDENTITY = ("model", "weights_sha256", "graph_sha256", "options", "seed", "sample_shape", "scale", "scale_unit",
             "grade", "depends_on", "precision", "flavour")  # fmt: skip
# What stands for a sample's number (a sign a digit) and for its study, series and instance while the rest is made.
_HERE, _LEVELS = "~", ("study", "series", "instance")
_UIDS = {level: "2.25." + str(k) * 39 for k, level in enumerate(_LEVELS, 1)}
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_MOST_WORDS = 1 << 16  # bytes before the waveform
# Elements before the waveform that are compared when a file is read: SOP class and instance (twice), transfer syntax.
_COMPARED = ((2, 2), (2, 3), (2, 0x10), (8, 0x16), (8, 0x18), (0x20, 0x0D), (0x20, 0x0E), (0x10, 0x20))


class DicomFormat(Format):
    """12-lead ECG Waveform Storage of twelve leads, else General ECG Waveform Storage; one multiplex group.

    Every sample is an instance of its own series, study and patient. Synthetic Data (0008,001C) is YES, and names,
    comments and the channels' status TEST DATA say so too.
    """

    name, suffixes, file_per_sample = "dicom", (".dcm",), True
    sparse = True
    kinds = (SIGNAL,)
    requires = ("pydicom",)

    def __init__(self, context):
        super().__init__(context)
        shape, rate, names = context.shape, context.sampling_rate_hz, context.lead_names
        if context.dtype != "int16" or len(shape) != 2 or min(shape) < 1 or len(names) != shape[0]:
            raise InputError(
                f"format dicom: samples are {context.dtype} {list(shape)} with {len(names)} lead names; "
                "they must be int16 [leads, time]"
            )
        unknown = [name for name in names if name not in _LEAD_CODES]
        if unknown or len(names) > _MAX_LEADS:
            raise InputError(
                f"format dicom: leads {', '.join(unknown or names)[:80]}; up to {_MAX_LEADS} of "
                f"{', '.join(_LEAD_CODES)} have a code there"
            )
        if rate is None or not _RATES[0] <= rate <= _RATES[1] or len(_decimal(rate)) > 16:
            raise InputError(
                f"format dicom: the sampling rate is {rate} Hz; an ECG of DICOM has {_RATES[0]} to {_RATES[1]} Hz"
            )
        self._heads: dict[int, tuple[bytes, bytes]] = {}

    @cached_property
    def _sentences(self) -> list[str]:
        return [_word(text) for text in sentences(self.context.about)]

    @cached_property
    def _identity(self) -> str:
        about = self.context.about
        kept = {key: about[key] for key in _IDENTITY if key in about}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

    @property
    def encoder(self):
        """A digest of a file without samples, which is all that pydicom makes."""
        return {"words": hashlib.sha256(b"".join(self._head(1))).hexdigest()[:16]}

    def _head(self, width: int) -> tuple[bytes, bytes]:
        """What stands before the samples of one whose number has ``width`` digits, cut where the waveform begins."""
        if width not in self._heads:
            size = 2 * self.context.shape[0] * self.context.shape[1]
            head = self._written(_HERE * width)[:-size]
            begin = head.index(struct.pack("<HH2s", 0x5400, 0x0100, b"SQ"))
            self._heads[width] = head[:begin], head[begin:]
        return self._heads[width]

    def _written(self, number: str) -> bytes:
        """What pydicom writes of a sample of zeros."""
        from io import BytesIO

        from pydicom import dcmwrite
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian

        dataset, file = self._dataset(number), BytesIO()
        meta = dataset.file_meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.ImplementationClassUID, meta.ImplementationVersionName = _IMPLEMENTATION, "DSB-FAST"
        dcmwrite(file, dataset, enforce_file_format=True)
        return file.getvalue()

    def _dataset(self, number: str):
        """The elements: modules Patient, General Study, General Series, General Equipment, Waveform Identification,
        Waveform, Acquisition Context and SOP Common."""
        from pydicom import Dataset

        about, made = self.context.about, Dataset()
        patient = f"{'SYNTHETIC-' if self._sentences else ''}{self._identity[:12]}-{number}"
        made.update(
            {
                "SpecificCharacterSet": "ISO_IR 192",
                "SOPClassUID": self._sop_class,
                "SOPInstanceUID": _UIDS["instance"],
                "StudyDate": "", "ContentDate": _DATE, "AcquisitionDateTime": _DATE + _TIME,
                "StudyTime": "", "ContentTime": _TIME,
                "AccessionNumber": "", "Modality": "ECG", "Manufacturer": SOFTWARE, "ReferringPhysicianName": "",
                "PatientName": f"{'SYNTHETIC' if self._sentences else 'ECG'}^{number}", "PatientID": patient,
                "PatientBirthDate": "", "PatientSex": "",
                "StudyInstanceUID": _UIDS["study"], "SeriesInstanceUID": _UIDS["series"],
                "StudyID": "", "SeriesNumber": "1", "InstanceNumber": "1",
                "AcquisitionContextSequence": [],
                "WaveformSequence": [self._waveform()],
            }
        )  # fmt: skip
        if self._sentences:
            made.SyntheticData = "YES"
            made.InstanceCreatorUID = _IMPLEMENTATION
            made.StudyDescription = made.SeriesDescription = f"Synthetic ECG, {_word(about['model'])}"[:64]
            made.ManufacturerModelName = _word(about["model"])[:64]
            made.PatientComments = SYNTHETIC
            made.AcquisitionContextDescription = "; ".join(self._sentences)[:1024]
        return made

    @property
    def _sop_class(self) -> str:
        names, length = self.context.lead_names, self.context.shape[1]
        return _TWELVE_LEAD if names == LEADS_12 and length <= _MAX_TWELVE_LENGTH else _GENERAL

    def _waveform(self):
        from pydicom import Dataset

        (leads, length), made = self.context.shape, Dataset()
        made.WaveformOriginality = "ORIGINAL"
        made.NumberOfWaveformChannels, made.NumberOfWaveformSamples = leads, length
        made.SamplingFrequency = _decimal(self.context.sampling_rate_hz)
        made.MultiplexGroupLabel = "RHYTHM"
        made.ChannelDefinitionSequence = [self._channel(k, name) for k, name in enumerate(self.context.lead_names, 1)]
        made.WaveformBitsAllocated, made.WaveformSampleInterpretation = 16, "SS"
        made.add_new("WaveformData", "OW", bytes(2 * leads * length))
        return made

    def _channel(self, number: int, lead: str):
        from pydicom import Dataset

        made = Dataset()
        made.WaveformChannelNumber, made.ChannelLabel = number, lead
        if self._sentences:
            made.ChannelStatus = "TEST DATA"
        made.ChannelSourceSequence = [_code("MDC", *_LEAD_CODES[lead])]
        if self.context.lead_names == LEADS_12 and lead in _DERIVED:
            made.ChannelDerivationDescription = _DERIVED[lead]
        made.ChannelSensitivity, made.ChannelSensitivityCorrectionFactor = "1", "1"
        made.ChannelSensitivityUnitsSequence = [_code("UCUM", "uV", "microvolt")]
        made.ChannelBaseline, made.ChannelSampleSkew = "0", "0"
        made.WaveformBitsStored = 16
        return made

    def encode(self, samples, first=0):
        frames = np.ascontiguousarray(samples.transpose(0, 2, 1), "<i2")
        return [b"".join((*self._numbered(k), frame.data.cast("B"))) for k, frame in enumerate(frames, first)]

    def _numbered(self, number: int) -> tuple[bytes, bytes]:
        """:meth:`_head` of one sample: with its number and its identifiers."""
        digits = b"%d" % number
        front, waveform = self._head(len(digits))
        front = front.replace(_HERE.encode() * len(digits), digits)
        for level, stand_in in _UIDS.items():
            front = front.replace(stand_in.encode(), self._uid(level, number).encode())
        return front, waveform

    def _uid(self, level: str, number: int) -> str:
        """``2.25.`` and a UUID of version 8 (RFC 9562), made of a hash: always 44 characters."""
        data = bytearray(hashlib.sha256(f"{level}/{number}/{self._identity}".encode()).digest()[:16])
        data[0] |= 0x80  # so that it has 39 digits
        data[6], data[8] = data[6] & 0x0F | 0x80, data[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(data, 'big')}"

    def decode(self, files, shard):
        leads, length = self.context.shape
        for number, file in zip(shard.numbers, files, strict=True):
            size = file.seek(0, os.SEEK_END)
            if not 0 <= size - 2 * leads * length <= _MOST_WORDS:  # said before anything as large is made
                raise ValueError(f"has {size} bytes, which is not what {leads} leads of {length} values take")
            file.seek(0)
            front = read_exactly(file, size - 2 * leads * length, "file")
            self._check(front, number)
            frames = np.frombuffer(read_exactly(file, 2 * leads * length, "waveform"), "<i2")
            yield np.ascontiguousarray(frames.reshape(length, leads).T).astype(np.int16, copy=False)

    def _check(self, head: bytes, number: int) -> None:
        """Raises ValueError unless ``head`` could stand before sample ``number``; words may be another version's."""
        front, waveform = self._numbered(number)
        if not head.endswith(waveform):
            raise ValueError("describes its waveform in another way")
        found, own = _elements(head[: -len(waveform)]), _elements(front)
        for tag in _COMPARED:
            if found.get(tag) != own[tag]:
                raise ValueError(f"has another element ({tag[0]:04x},{tag[1]:04x}) than sample {number}")


def _elements(data: bytes) -> dict[tuple[int, int], bytes]:
    """Values by group and element of a file's begin. Raises ValueError if it is no row of elements to its end."""
    if data[:132] != bytes(128) + b"DICM":
        raise ValueError("is no DICOM file")
    found, at, before = {}, 132, (0, 0)
    try:
        while at < len(data):
            group, element, kind, size = struct.unpack_from("<HH2sH", data, at)
            at += 8
            if kind in _LONG:
                (size,) = struct.unpack_from("<I", data, at)
                at += 4
            if (group, element) <= before or at + size > len(data):
                raise ValueError("has elements that are out of order or too long")
            if kind in (b"SQ", b"UN") and size:
                raise ValueError("has other sequences than its waveform")
            before = group, element
            found[before] = data[at : at + size]
            at += size
    except struct.error:
        raise ValueError("ends within an element") from None
    return found


def _code(scheme: str, value: str, meaning: str):
    from pydicom import Dataset

    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def _decimal(number: float) -> str:
    return np.format_float_positional(number, trim="-")


def _word(text) -> str:
    """Text without what separates values, or stands for numbers."""
    return plain_ascii(text).replace("\\", "/").replace(_HERE, "-")

"""``edf``: an EDF+ file a sample, ``<id>.edf``: a signal a lead, the stored integers being microvolts.

After Kemp et al. 1992 (EDF) and Kemp and Olivan 2003 (EDF+). Package edfio makes one file of zeros; the samples are put
into copies of it, which is what it would write and takes a small part of the time (docs/formats.md).
"""

from __future__ import annotations

import hashlib
import os
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

import numpy as np

from ..._errors import InputError
from .base import SIGNAL, Format
from .provenance import plain_ascii, sentences
from .reading import read_exactly

_LIMITS = (-32768, 32767)  # of the stored integers and of the microvolts, so that one stands for one
_RECORD_BYTES = 61440  # which a data record should not exceed
_MAX_LEADS, _MAX_LENGTH = 9998, 10_000_000  # what the header's fields can count, with annotations
_PATIENT, _WORDS = slice(8, 88), slice(8, 168)  # of the header
_LABEL, _MODEL, _ANNOTATION = 16, 30, 500  # characters; EDFlib reads 512 of an annotation
_HERE = "~"  # stands for each digit of the sample's number while the rest is made


def record_length(rate_hz: float, length: int, leads: int) -> int | None:
    """Values of a lead in a data record: those of a second, else of whole seconds, else as many as may be.

    Before as many as may be go numbers from which readers get the rate without an error of rounding.
    None if no data records hold ``length`` values at ``rate_hz`` without a rest and last what 8 characters can say.
    """
    if not (1e-3 <= rate_hz <= 1e6 and 0 < leads <= _MAX_LEADS and 0 < length <= _MAX_LENGTH):
        return None
    rate = Fraction(repr(float(rate_hz)))
    found = [k for k in range(1, length + 1) if length % k == 0 and _can_say(k / rate)]
    fitting = [k for k in found if 2 * k * leads <= _RECORD_BYTES] or found[:1]

    def merit(k: int) -> tuple:
        duration = k / rate
        return k == rate, duration.denominator == 1, k / float(duration) == rate_hz, k

    return max(fitting, key=merit, default=None)


def _can_say(duration_s: Fraction) -> bool:
    text = str(float(duration_s)).removesuffix(".0")
    return len(text) <= 8 and "e" not in text and Fraction(Decimal(text)) == duration_s


class EdfFormat(Format):
    """EDF+C: no gaps, no date (``Startdate X``, 01.01.85 00.00.00), annotations at its begin that say what made it."""

    name, suffixes, file_per_sample = "edf", (".edf",), True
    sparse = True
    kinds = (SIGNAL,)
    requires = ("edfio",)

    def __init__(self, context):
        super().__init__(context)
        shape, rate = context.shape, context.sampling_rate_hz
        if context.dtype != "int16" or len(shape) != 2 or min(shape) < 1 or len(context.lead_names) != shape[0]:
            raise InputError(
                f"format edf: samples are {context.dtype} {list(shape)} with {len(context.lead_names)} lead names; "
                "they must be int16 [leads, time]"
            )
        self._record = record_length(rate or 0, shape[1], shape[0])
        if self._record is None:
            raise InputError(
                f"format edf: {shape[1]} values at {rate} Hz make no data records whose duration EDF can say; "
                "formats wfdb and npy hold them"
            )
        self._blanks: dict[int, np.ndarray] = {}

    @cached_property
    def _sentences(self) -> list[str]:
        return [_word(text)[:_ANNOTATION] for text in sentences(self.context.about)]

    @property
    def encoder(self):
        """A digest of a file without samples, which is all that edfio makes."""
        return {"words": hashlib.sha256(self._blank(1)).hexdigest()[:16]}

    def _blank(self, width: int) -> np.ndarray:
        """The file of a sample of zeros whose number has ``width`` digits, uint8; made once."""
        if width not in self._blanks:
            self._blanks[width] = np.frombuffer(self._written(_HERE * width), np.uint8)
        return self._blanks[width]

    def _written(self, number: str) -> bytes:
        """What edfio writes of it."""
        from io import BytesIO

        from edfio import Edf, EdfAnnotation, EdfSignal

        context, file = self.context, BytesIO()
        signals = [
            EdfSignal(
                np.zeros(context.shape[1]),
                context.sampling_rate_hz,
                label=f"ECG {_word(lead)}"[:_LABEL],
                transducer_type="synthetic" if self._sentences else "",
                physical_dimension="uV",
                physical_range=_LIMITS,
                digital_range=_LIMITS,
            )
            for lead in context.lead_names
        ]
        patient, recording = self._who(number)
        Edf(
            signals,
            patient=patient,
            recording=recording,
            data_record_duration=float(self._record / Fraction(repr(context.sampling_rate_hz))),
            annotations=[EdfAnnotation(0, None, text) for text in self._sentences],
        ).write(file)
        return file.getvalue()

    def _who(self, number: str):
        """The header's patient and recording."""
        from edfio import Patient, Recording

        if not self._sentences:
            return Patient(code=number), Recording()
        about = self.context.about
        model, seed = "_".join(_word(about["model"]).split())[:_MODEL], f"seed-{about.get('seed', 'X')}"
        return (
            Patient(code=f"SYNTHETIC-{number}", name="Synthetic"),
            Recording(hospital_administration_code=seed, equipment_code="dsb-fast", additional=(model,)),
        )

    def encode(self, samples, first=0):
        return [self._file(sample, number) for number, sample in enumerate(samples, first)]

    def _file(self, sample: np.ndarray, number: int) -> np.ndarray:
        file = self._blank(len(str(number))).copy()
        file[_PATIENT] = np.frombuffer(_numbered(file[_PATIENT].tobytes(), number), np.uint8)
        leads, length = self.context.shape
        values = sample.reshape(leads, length // self._record, self._record).transpose(1, 0, 2)
        self._records(file)[:, : leads * self._record] = values.reshape(len(values), -1)
        return file

    def _records(self, file: np.ndarray) -> np.ndarray:
        """A file's data records int16 [records, values], the leads' one after the other and then the annotations."""
        begin = _header_size(self._signals)
        return file[begin:].view("<i2").reshape(self.context.shape[1] // self._record, -1)

    @property
    def _signals(self) -> int:
        return self.context.shape[0] + bool(self._sentences)

    def decode(self, files, shard):
        leads, length = self.context.shape
        for number, file in zip(shard.numbers, files, strict=True):
            values = self._records(self._checked(file, number))[:, : leads * self._record]
            sample = values.reshape(-1, leads, self._record).transpose(1, 0, 2).reshape(leads, length)
            yield sample.astype(np.int16, copy=False)

    def _checked(self, file, number: int) -> np.ndarray:
        """The bytes of sample ``number``'s file. Raises ValueError unless it could have been written here.

        Words, and so the room for annotations, may be another version's.
        """
        size, head = file.seek(0, os.SEEK_END), _header_size(self._signals)
        leads, length = self.context.shape
        if size < head + 2 * leads * length:  # said before anything as large is made
            raise ValueError("ends too early")
        file.seek(0)
        header = read_exactly(file, head, "header")
        own = self._blank(len(str(number)))[:head].tobytes()
        if self._without_words(header) != self._without_words(own):
            raise ValueError("has another header")
        if header[_PATIENT].split(b" ")[0] != _numbered(own[_PATIENT], number).split(b" ")[0]:
            raise ValueError(f"is not of sample {number}")
        room = header[self._room]
        if self._sentences and not room.strip().isdigit():
            raise ValueError("does not say how long its annotations are")
        values = leads * self._record + (int(room) if self._sentences else 0)
        written = head + 2 * values * (length // self._record)
        if size != written:
            raise ValueError(f"has {size} bytes, {written} were written")
        return np.frombuffer(header + read_exactly(file, size - head, "file"), np.uint8)

    @property
    def _room(self) -> slice:
        """Where the header says how many values of a data record the annotations take."""
        end = 256 + 224 * self._signals
        return slice(end - 8, end)

    def _without_words(self, header: bytes) -> bytes:
        kept = bytearray(header)
        kept[_WORDS] = bytes(160)
        if self._sentences:
            kept[self._room] = bytes(8)
        return bytes(kept)


def _header_size(signals: int) -> int:
    return 256 * (signals + 1)


def _word(text) -> str:
    return plain_ascii(text).replace(_HERE, "-")


def _numbered(field: bytes, number: int) -> bytes:
    """A field of the header with the sample's number where signs were put for it."""
    digits = b"%d" % number
    return field.replace(_HERE.encode() * len(digits), digits)

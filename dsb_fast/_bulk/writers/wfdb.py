"""``wfdb``: records of PhysioNet's Waveform Database: ``<id>.dat`` in format 16, its header ``<id>.hea``, and RECORDS.

After header(5) and signal(5) of the WFDB Applications Guide. Written here because package wfdb writes only to paths of
its own, and takes many times as long (docs/formats.md).
"""

from __future__ import annotations

import hashlib
import textwrap
from functools import cached_property
from typing import BinaryIO

import numpy as np

from ..._errors import InputError
from .base import SIGNAL, Format
from .provenance import plain_ascii, sentences

_UNITS_PER_MV = 1000  # so that the stored integers are microvolts
_INVALID = -32768  # what format 16 has for "no value"
_LINE = 254  # characters of a header's line without its linefeed: header(5)
_NAME = 40  # of a signal; file name and description may have 80 together
_MAX_HEADER = 1 << 20


def comment_lines(about: dict) -> list[str]:
    """What a header says of the run that ``about`` (a recipe) describes; nothing if no model is named in it."""
    lines = []
    for text in sentences(about):
        lines += textwrap.wrap(plain_ascii(text), _LINE - 2, break_on_hyphens=False)
    return [f"# {line}" for line in lines]


class WfdbFormat(Format):
    """1000 units per mV from a zero of 0, so that the integers are the microvolts; no date, no time of day."""

    name, suffixes, file_per_sample = "wfdb", (".dat", ".hea"), True  # a header is published after what it names
    sparse = True
    kinds = (SIGNAL,)
    record_name: str | None = None  # of a record that is not named by its number, as of a converted file

    def __init__(self, context):
        super().__init__(context)
        shape, rate = context.shape, context.sampling_rate_hz
        if context.dtype != "int16" or len(shape) != 2 or min(shape) < 1 or len(context.lead_names) != shape[0]:
            raise InputError(
                f"format wfdb: samples are {context.dtype} {list(shape)} with {len(context.lead_names)} lead names; "
                "they must be int16 [leads, time]"
            )
        if rate is None or not 0 < rate < float("inf"):
            raise InputError(f"format wfdb: the sampling rate is {rate} Hz; it must be above 0")

    @property
    def encoder(self):
        """A digest of the headers' words."""
        words = "\n".join(self._comments)
        return {"words": hashlib.sha256(words.encode()).hexdigest()[:16]}

    @cached_property
    def _comments(self) -> list[str]:
        return comment_lines(self.context.about)

    @cached_property
    def _template(self) -> str:
        """Record and signal lines with {0} for the record's name, {1[k]} and {2[k]} for initial value and checksum."""
        leads, length = self.context.shape
        rate = np.format_float_positional(self.context.sampling_rate_hz, trim="-")
        lines = [f"{{0}} {leads} {rate} {length}"]
        for k, lead in enumerate(self.context.lead_names):
            description = plain_ascii(lead)[:_NAME].replace("{", "{{").replace("}", "}}")
            lines.append(f"{{0}}.dat 16 {_UNITS_PER_MV}.0(0)/mV 16 0 {{1[{k}]}} {{2[{k}]}} 0 {description}".rstrip())
        return "".join(line + "\n" for line in lines)

    def _header(self, name: int | str, sample: np.ndarray) -> bytes:
        """The header's lines that its readers rely on, of record ``name``, ``sample`` int16 [leads, time]."""
        checksums = sample.sum(axis=1, dtype=np.int16)  # the sum of the values, of which 16 bits are kept
        return self._template.format(name, sample[:, 0].tolist(), checksums.tolist()).encode()

    def _remarks(self, number: int) -> bytes:
        """The header's comments."""
        own = [f"# Sample: {number}"] if "seed" in self.context.about and self._comments else []
        return "".join(line + "\n" for line in (*self._comments, *own)).encode()

    def index_files(self, plan):
        def records():
            for numbers in plan.numbers():
                yield "".join(f"{k}\n" for k in numbers).encode()

        yield "RECORDS", records()

    def encode(self, samples, first=0):
        if (samples == _INVALID).any():
            number = first + int((samples == _INVALID).any(axis=(1, 2)).argmax())
            raise InputError(
                f"format wfdb: sample {number} has {_INVALID} microvolt, which means 'no value' there; "
                "formats csv and npy can hold it"
            )
        frames = np.ascontiguousarray(samples.transpose(0, 2, 1), "<i2").view(np.uint8)
        out = []
        for k, sample in enumerate(samples):
            name = first + k if self.record_name is None else self.record_name
            out += [frames[k], self._header(name, sample) + self._remarks(first + k)]
        return out

    def decode(self, files, shard):
        files = iter(files)
        for number in shard.numbers:
            sample = self._samples(next(files))  # a file is open until the next is asked for
            self._check_header(next(files), number, sample)
            yield sample

    def _samples(self, file: BinaryIO) -> np.ndarray:
        leads, length = self.context.shape
        size = file.seek(0, 2)
        if size != 2 * leads * length:
            raise ValueError(f"has {size} bytes, {2 * leads * length} were written")
        file.seek(0)
        frames = np.frombuffer(file.read(), "<i2").astype(np.int16, copy=False)
        return np.ascontiguousarray(frames.reshape(length, leads).T)

    def _check_header(self, file: BinaryIO, number: int, sample: np.ndarray) -> None:
        header = file.read(_MAX_HEADER)
        expected = self._header(number, sample)
        if not header.startswith(expected):
            raise ValueError(f"the header of record {number} is not that of its signals")
        *comments, end = header[len(expected) :].split(b"\n")
        if end or not all(line.startswith(b"#") for line in comments):
            raise ValueError(f"the header of record {number} has more than comments after its signals")

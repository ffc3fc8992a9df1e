"""``asc`` and ``csv``: a text file a sample, a row a time step, whole microvolts."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ... import _kernels
from ..._errors import InputError
from .base import SIGNAL, Format

_LONGEST = len("-32768")
_SLOWEST_HZ = 1e-6


def time_column(length: int, sampling_rate_hz: float, separator: str) -> tuple[bytes, int]:
    """The times of all rows with their separator, NUL-padded to one width, and that width.

    As few decimals as tell the step exactly, six at most.
    """
    decimals = next((d for d in range(7) if (10**d / sampling_rate_hz).is_integer()), 6)
    texts = [f"{t / sampling_rate_hz:.{decimals}f}{separator}".encode() for t in range(length)]
    width = max(map(len, texts))
    return b"".join(text.ljust(width, b"\0") for text in texts), width


class AscFormat(Format):
    """The bytes of ``numpy.savetxt(fmt="%i")``, as package deepfake-ecg writes them: blank between, LF, no header."""

    name, suffixes, file_per_sample = "asc", (".asc",), True
    sparse = True
    kinds = (SIGNAL,)

    def encode(self, samples, first=0):
        return [_kernels.rows_as_text(sample, " ") for sample in samples]

    def decode(self, files, shard):
        for file in files:
            yield _parse(_read(file, self.context.shape, 0).split(), self.context.shape)


class CsvFormat(Format):
    """A header of lead names, whole microvolts, LF; ``time_column`` puts ``time_s`` first."""

    name, suffixes, file_per_sample = "csv", (".csv",), True
    sparse = True
    kinds = (SIGNAL,)
    options = {"time_column": False}  # noqa: RUF012

    def __init__(self, context):
        super().__init__(context)
        if context.options.get("time_column") and not (context.sampling_rate_hz or 0) >= _SLOWEST_HZ:
            raise InputError(f"time_column: a sampling rate of {context.sampling_rate_hz} Hz gives no times to write")

    @cached_property
    def _times(self) -> tuple[bytes, int]:
        if not self.context.options.get("time_column"):
            return b"", 0
        return time_column(self.context.shape[-1], self.context.sampling_rate_hz, ",")

    @cached_property
    def _header(self) -> bytes:
        names = (("time_s",) if self._times[1] else ()) + self.context.lead_names
        return (",".join(names) + "\n").encode()

    def encode(self, samples, first=0):
        return [_kernels.rows_as_text(sample, ",", self._header, *self._times) for sample in samples]

    def decode(self, files, shard):
        for file in files:
            if file.read(len(self._header)) != self._header:
                raise ValueError("another header")
            rows = _read(file, self.context.shape, self._times[1])
            if self._times[1]:
                rows = b"\n".join(row.partition(b",")[2] for row in rows.split(b"\n"))
            yield _parse(rows.replace(b",", b" ").split(), self.context.shape)


def _read(file, shape: tuple[int, ...], time_width: int) -> bytes:
    """What is left of a file, if that is no longer than its numbers can be. Raises ValueError."""
    leads, length = shape
    most = length * ((_LONGEST + 1) * leads + time_width)
    data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"is longer than {leads * length} numbers")
    return data


def _parse(words: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    leads, length = shape
    if len(words) != leads * length:
        raise ValueError(f"holds {len(words)} numbers, {leads * length} were written")
    try:
        if max(map(len, words), default=0) <= _LONGEST:  # numpy gives every word the room of the longest
            return np.ascontiguousarray(np.array(words).astype(np.int16).reshape(length, leads).T)
    except OverflowError:
        pass
    raise ValueError("holds a number that is no int16")

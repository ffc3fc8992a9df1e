"""Records of PhysioNet's Waveform Database as users have them: one segment, one signal file in format 16.

After header(5) and signal(5) of the WFDB Applications Guide. A header is data of unknown origin: it can name no file
outside its own folder, and sizes are compared with the signal file's before anything is read.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

import numpy as np

from .leads import LEADS_12

_SPELT = {lead.upper(): lead for lead in LEADS_12}  # AVR, as PTB-XL has it
_MICROVOLTS = {"mV": 1000, "uV": 1, "µV": 1}
_INVALID = -32768
_MAX_HEADER, _MAX_SIGNALS = 1 << 20, 1 << 32
_RECORD = re.compile(r"(?P<name>[-\w]+)(?P<segments>/\d+)?\s+(?P<signals>\d{1,4})(?:$|\s+(?P<rate>[\d.]+(?:e[+-]?\d+)?)"
                     r"(?:/\S*)?(?:$|\s+(?P<length>\d{1,15})(?:\s|$)))")  # fmt: skip
_SIGNAL = re.compile(r"(?P<file>\S+)\s+(?P<format>\d+)(?P<more>x\d+)?(?P<skew>:\d+)?(?:\+(?P<offset>\d{1,9}))?"
                     r"(?:\s+(?P<gain>[\d.]+(?:e[+-]?\d+)?)(?:\((?P<baseline>-?\d{1,9})\))?(?:/(?P<unit>\S+))?)?"
                     r"(?:\s+\d+(?:\s+(?P<zero>-?\d{1,9})(?:\s+-?\d+(?:\s+(?P<checksum>-?\d{1,9})(?:\s+-?\d+"
                     r"(?:\s+(?P<name>.+))?)?)?)?)?)?$")  # fmt: skip


@dataclass(frozen=True)
class _Signal:
    file: str
    offset: int
    microvolts_a_unit: tuple[float, float]  # numerator and denominator, so that whole numbers stay whole
    baseline: int
    checksum: int
    name: str


def read_record(header: bytes, folder: str) -> tuple[tuple[str, ...] | None, np.ndarray, float | None]:
    """Lead names (None if they have none), microvolts float64 [1, leads, time] and sampling rate of a header's record.

    Raises ValueError.
    """
    if len(header) > _MAX_HEADER:
        raise ValueError("header of more than 1 MiB")
    lines = [line.strip() for line in header.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    record = _RECORD.match(lines[0]) if lines else None
    if record is None:
        raise ValueError("no record line")
    if record["segments"]:
        raise ValueError("a record of several segments; give one of them")
    count = int(record["signals"])
    if not 1 <= count <= len(lines) - 1:
        raise ValueError(f"{count} signals announced, {len(lines) - 1} described")
    signals = [_signal(line) for line in lines[1 : count + 1]]
    if len({(signal.file, signal.offset) for signal in signals}) != 1:
        raise ValueError("its signals are in several files")
    units = _units(folder, signals[0], count, int(record["length"] or 0))
    for signal, values in zip(signals, units, strict=True):
        if signal.checksum and (int(values.sum(dtype=np.int64)) - signal.checksum) % 65536:
            raise ValueError(f"{signal.file} is damaged: it does not have the checksum of signal {signal.name[:40]!r}")
    if (units == _INVALID).any():
        raise ValueError("has missing values")
    values = np.stack(
        [(row.astype(np.float64) - s.baseline) * s.microvolts_a_unit[0] / s.microvolts_a_unit[1]
         for row, s in zip(units, signals, strict=True)]
    )  # fmt: skip
    names = tuple(_SPELT.get(signal.name.upper(), signal.name) for signal in signals)
    return names if all(names) else None, values[None], _number(record["rate"], None)


def _number(text: str | None, default: float | None) -> float | None:
    """A number above 0, ``default`` where none or 0 stands."""
    number = float(text or 0)
    if number == math.inf:
        raise ValueError("a number that is too large")
    return number or default


def _signal(line: str) -> _Signal:
    found = _SIGNAL.match(line)
    if found is None:
        raise ValueError(f"signal line {line[:60]!r} can't be read")
    if found["format"] != "16" or found["more"] or found["skew"]:
        raise ValueError(f"signals in format {line.split()[1]}; 16 is read here, package wfdb reads all")
    if os.path.basename(found["file"]) != found["file"] or found["file"] in (".", "..", "-"):
        raise ValueError(f"its signal file {found['file']!r} is not in its folder")
    unit = found["unit"] or "mV"
    if unit not in _MICROVOLTS:
        raise ValueError(f"a signal in {unit}; mV and uV are read")
    return _Signal(
        found["file"],
        int(found["offset"] or 0),
        (_MICROVOLTS[unit], _number(found["gain"], 200.0)),  # header(5): 200 units if nothing is said
        int(found["baseline"] or found["zero"] or 0),
        int(found["checksum"] or 0),  # 0 also stands where none was computed
        (found["name"] or "").strip(),
    )


def _units(folder: str, signal: _Signal, count: int, length: int) -> np.ndarray:
    """The stored integers int16 [signals, time]; ``length`` 0 if the header does not say."""
    path = os.path.join(folder, signal.file)
    if not os.path.isfile(path):
        raise ValueError(f"its signal file {signal.file} is missing")
    size = os.path.getsize(path) - signal.offset
    length = length or size // (2 * count)
    if not 0 < 2 * count * length <= min(size, _MAX_SIGNALS):
        raise ValueError(f"{signal.file} has {max(size, 0)} bytes of signals, {2 * count * length} announced")
    try:
        frames = np.fromfile(path, "<i2", count * length, offset=signal.offset)
    except OSError as error:
        raise ValueError(f"{signal.file}: {error.strerror}") from None
    return frames.reshape(length, count).T

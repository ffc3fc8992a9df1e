"""ECG files as users have them: read ``asc``, ``csv``, ``npy`` and WFDB records, whatever program wrote them."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

import numpy as np

from . import _json_text, _npy_file
from ._errors import InputError
from ._files import open_file
from ._wfdb_file import read_record
from .leads import LEADS_8, LEADS_12

_MAX_BYTES = 1 << 32
_MOST_HZ = 1e6


@dataclass(frozen=True)
class Recording:
    """``signal_uv`` int16 [n, leads, time]; ``about`` is the manifest beside the file, if dsb_fast wrote one."""

    signal_uv: np.ndarray
    lead_names: tuple[str, ...]
    sampling_rate_hz: float
    about: dict
    has_time_column: bool = False


def _manifest_beside(path: str) -> dict:
    try:
        with open_file(os.path.join(os.path.dirname(path) or ".", "dataset.json")) as file:
            manifest = _json_text.parse(file.read())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def read(path: str, sampling_rate_hz: float | None = None) -> Recording:
    """The ECGs of a file. Raises InputError that names the file and what is wrong."""
    _check_rate("sampling rate", sampling_rate_hz)
    if os.path.isdir(path):
        raise InputError(f"{path}: a folder; name files in it, as in {os.path.join(path, '*.asc')}")
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".asc", ".csv", ".npy", ".hea"):
        raise InputError(f"{path}: not a format that is read here; there are .asc, .csv, .npy and .hea")
    try:
        if not os.path.isfile(path):
            raise InputError(f"{path}: {'not a file' if os.path.exists(path) else 'no such file'}")
        if os.path.getsize(path) > _MAX_BYTES:
            raise InputError(f"{path}: larger than {_MAX_BYTES >> 30} GiB")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    about, timed, own_rate = _manifest_beside(path), False, None
    try:
        if suffix == ".hea":
            names, samples, own_rate = read_record(data, os.path.dirname(path))
            samples = _whole(samples)
        else:
            names, samples, timed = _READERS[suffix](data)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: can't be read as {suffix[1:]} ({error})") from None
    if names is None:
        names = {8: LEADS_8, 12: LEADS_12}.get(samples.shape[1])
        if names is None:
            raise InputError(f"{path}: has {samples.shape[1]} leads; 8 (I, II, V1..V6) or the standard 12 are read")
    rate = sampling_rate_hz or own_rate or about.get("sampling_rate_hz")
    rate = float(rate) if isinstance(rate, (int, float)) and rate else 500.0
    _check_rate(f"{path}: sampling rate", rate)
    return Recording(samples, names, rate, about, timed)


def _check_rate(what: str, rate: float | None) -> None:
    if rate is not None and not 1 / _MOST_HZ <= rate <= _MOST_HZ:
        raise InputError(f"{what}: {rate} Hz; it must be from {1 / _MOST_HZ:g} to {_MOST_HZ:g}")


def _whole(values: np.ndarray) -> np.ndarray:
    """Numbers as int16 microvolts. Raises ValueError where they are not whole or too large."""
    if values.dtype.kind not in "iuf":
        raise ValueError(f"holds {values.dtype}, not numbers")
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int16)
    if not (whole == values).all():
        raise ValueError("values must be whole microvolts from -32768 to 32767")
    return whole


def _table(text: bytes, separator: str | None) -> np.ndarray:
    if not text.strip():
        raise ValueError("no rows")
    return np.loadtxt(io.BytesIO(text), delimiter=separator, ndmin=2, dtype=np.float64, comments=None)


def _read_asc(data: bytes):
    return None, _whole(_table(data, None)).T[None].copy(), False


def _read_csv(data: bytes):
    header, _, rest = data.partition(b"\n")
    names = tuple(name.strip() for name in header.decode("utf-8").split(","))
    if not any(c.isalpha() for c in names[0]):
        raise ValueError("no header of lead names")
    rows = _table(rest, ",")
    if rows.shape[1] != len(names):
        raise ValueError(f"{len(names)} names above {rows.shape[1]} columns")
    timed = names[0] == "time_s"
    names, rows = names[timed:], rows[:, int(timed) :]
    return names, _whole(rows).T[None].copy(), timed


def _read_npy(data: bytes):
    values = _npy_file.parse(data)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or not values.size:
        raise ValueError(f"is {list(values.shape)}, needs [n, leads, time]")
    return None, _whole(values), False


_READERS = {".asc": _read_asc, ".csv": _read_csv, ".npy": _read_npy}

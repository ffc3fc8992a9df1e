"""NumPy's .npy files as data: numpy's own reader evaluates their headers, warns, and takes the memory they ask for."""

from __future__ import annotations

import io
import re
from math import prod
from typing import BinaryIO

import numpy as np

_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: 2, 2: 4, 3: 4}  # bytes that hold the header's length, by version of the format
_LONGEST = 10_000  # characters of a header, as numpy has it
_HEADER = re.compile(
    r"""\{(?:\ ?(?:
    'descr'\ ?:\ ?'(?P<descr>[<>|=]?[a-zA-Z][0-9]{0,9}(?:\[[a-zA-Z0-9]+\])?)'|
    'fortran_order'\ ?:\ ?(?P<fortran_order>True|False)|
    'shape'\ ?:\ ?\((?P<shape>(?:\ ?[0-9]{1,18}L?\ ?,)*(?:\ ?[0-9]{1,18}L?)?)\ ?\)
    )\ ?,?)*\ ?\}""",
    re.VERBOSE,
)


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is in Fortran's order, and type of the array whose values follow. Raises ValueError."""
    start = file.read(8)
    length = _LENGTHS.get(start[6]) if len(start) == 8 and start[:6] == _MAGIC else None
    if length is None:
        raise ValueError("is no .npy file")
    size = int.from_bytes(file.read(length), "little")
    text = file.read(size) if size <= _LONGEST else b""
    found = _HEADER.fullmatch(" ".join(text.decode("latin-1").split()))
    if found is None or None in found.groups() or len(text) != size:
        raise ValueError("has a damaged header, or holds records")
    try:
        dtype = np.dtype(found["descr"])
    except (TypeError, ValueError):
        raise ValueError(f"holds {found['descr']}, which is no type of numbers") from None
    shape = tuple(int(part.strip(" L")) for part in found["shape"].split(",") if part.strip())
    return shape, found["fortran_order"] == "True", dtype


def parse(data: bytes) -> np.ndarray:
    """The array of a whole file, a view of ``data``. Raises ValueError."""
    file = io.BytesIO(data)
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"holds {dtype}, not numbers")
    if len(shape) > 32 or prod(shape) * dtype.itemsize > len(data) - file.tell():
        raise ValueError(f"is too short for {dtype} {list(shape[:32])}")
    values = np.frombuffer(data, dtype, prod(shape), file.tell())
    return values.reshape(shape, order="F" if is_fortran else "C")

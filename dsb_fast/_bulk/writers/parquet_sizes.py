"""Is a Parquet file as big as it should be? Asked before it is read: a few bytes of one can stand for gigabytes.

After parquet.thrift of the format's specification. Not asked of pyarrow, which knows no pages and which a damaged
description of a column ends together with the process (26.0: an exception that nothing catches).
"""

from __future__ import annotations

import os
from typing import BinaryIO

_MAGIC = b"PAR1"
_HEADER = 4096  # bytes that a page's header never exceeds; ours have about 30
_DATA_PAGE, _UNCOMPRESSED = 0, 0
_ENCODINGS = {"PLAIN": 0, "DELTA_BINARY_PACKED": 5}
_DENSEST = 32  # values a byte that DELTA_BINARY_PACKED can have: 128 of one value take 5
_TRUE, _FALSE, _I8, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _STRUCT = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12)
_DEPTH = 12  # of structs and lists within each other


def check_sizes(file: BinaryIO, rows: list[int], columns: dict[str, tuple[str, int]]) -> None:
    """Raises ValueError unless ``file`` has row groups of ``rows`` rows, of ``columns``.

    These are path: (encoding, values a row), and must lie in it as uncompressed data pages of version 1.
    """
    try:
        size = file.seek(0, os.SEEK_END)
        described = _footer(file, size)
        found = [group[3] for group in described[4]]
        if (described[3], found) != (sum(rows), rows):
            raise ValueError(f"holds {described[3]} rows in {len(found)} groups, not {sum(rows)} in {len(rows)}")
        for group, count in zip(described[4], rows, strict=True):
            if len(group[1]) != len(columns):
                raise ValueError(f"has {len(group[1])} columns")
            for chunk, (path, (encoding, values)) in zip(group[1], columns.items(), strict=True):
                _check_chunk(chunk, file, size, path, encoding, values * count)
    except (IndexError, KeyError, TypeError):
        raise ValueError("is damaged") from None


def _check_chunk(chunk: dict, file: BinaryIO, size: int, path: str, encoding: str, values: int) -> None:
    about = chunk[3]
    begin, end = about[9], about[9] + about[7]
    if b".".join(about[3]) != path.encode() or about[5] != values:
        raise ValueError(f"holds {about[5]} values of a column, {values} of {path} were written")
    if {1, 8} & set(chunk) or 11 in about or about[4] != _UNCOMPRESSED or not 0 < begin < end <= size:
        raise ValueError(f"column {path} is stored in another way")
    if encoding == "DELTA_BINARY_PACKED" and values > _DENSEST * (end - begin):
        raise ValueError(f"column {path} is too short for {values} values")
    while begin < end and values >= 0:
        header_size, page_size, count, found = _page(file, begin)
        if found != _ENCODINGS[encoding]:
            raise ValueError(f"column {path} is encoded in another way")
        begin += header_size + page_size
        values -= count
    if begin != end or values:
        raise ValueError(f"column {path} has other pages than it says")


def _footer(file: BinaryIO, size: int) -> dict:
    """FileMetaData."""
    if size < 12:
        raise ValueError("is no Parquet file")
    file.seek(size - 8)
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > size - 12:
        raise ValueError("is no Parquet file")
    file.seek(size - 8 - length)
    return _struct(file.read(length), 0, _DEPTH)[0]


def _page(file: BinaryIO, at: int) -> tuple[int, int, int, int]:
    """Bytes of a data page's header, of its data, number of values, encoding."""
    file.seek(at)
    fields, header_size = _struct(file.read(_HEADER), 0, _DEPTH)
    kind, size, stored, data = fields[1], fields[2], fields[3], fields[5]
    if kind != _DATA_PAGE or size != stored or size < 0 or data[1] < 0:
        raise ValueError("has pages of another kind")
    return header_size, size, data[1], data[2]


def _struct(data: bytes, at: int, depth: int) -> tuple[dict, int]:
    """A struct in Thrift's compact protocol, values by field number, and where it ends."""
    fields: dict = {}
    number = 0
    while data[at]:
        head, at = data[at], at + 1
        if head < 16:
            raise ValueError("is damaged")  # field numbers ascend by less than 16 in all that is written
        number += head >> 4
        kind = head & 15
        fields[number], at = (kind == _TRUE, at) if kind in (_TRUE, _FALSE) else _value(data, at, kind, depth - 1)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int):
    if kind in (_I16, _I32, _I64):
        value, at = _varint(data, at)
        return (value >> 1) ^ -(value & 1), at
    if kind in (_I8, _TRUE, _FALSE):
        return data[at], at + 1
    if kind == _DOUBLE:
        return None, at + 8
    if kind == _BINARY:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind == _STRUCT and depth > 0:
        return _struct(data, at, depth)
    if kind != _LIST or depth <= 0:
        raise ValueError("is damaged")
    count, kind, at = data[at] >> 4, data[at] & 15, at + 1
    if count == 15:
        count, at = _varint(data, at)
    values = []
    for _ in range(count):
        if at >= len(data):
            raise ValueError("is damaged")
        value, at = _value(data, at, kind, depth - 1)
        values.append(value)
    return values, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at + shift // 7] & 127) << shift
        if data[at + shift // 7] < 128:
            return value, at + shift // 7 + 1
    raise ValueError("is damaged")

"""A zip of stored files as a stream: nothing is sought back to, and a file costs its line of the directory in memory.

APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3. Python's zipfile writes the same bytes where it can seek (a test compares
them); to a stream it writes data descriptors, and it keeps 400 bytes a file.
"""

from __future__ import annotations

import struct

from .reading import read_exactly

_LOCAL, _CENTRAL = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I")
_END, _END_64, _LOCATOR = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q"), struct.Struct("<4sIQI")
_LOCAL_SIGNATURE, _CENTRAL_SIGNATURE = b"PK\3\4", b"PK\1\2"
_DATE = 1 << 5 | 1  # 1980-01-01, the first that a zip can have
_UNIX, _MODE = 3 << 8, 0o100644 << 16
_PLAIN, _LARGE = 20, 45  # versions needed to extract
_LARGEST, _MOST = 0x7FFFFFFF, 0xFFFF  # beyond it in 64 bits; readers may take 32 bits for signed ones


class StoredZip:
    """What stands around the files of an archive. One file has less than 2 GiB."""

    def __init__(self):
        self._directory = bytearray()
        self._count = self._offset = 0

    def header(self, name: str, size: int, crc: int) -> bytes:
        """What stands before the ``size`` bytes of the next file, whose CRC-32 is ``crc``."""
        stem = name.encode("ascii")
        common = (0, 0, 0, _DATE, crc, size, size, len(stem))
        offset, extra, version = self._offset, b"", _PLAIN
        if offset > _LARGEST:
            offset, extra, version = 0xFFFFFFFF, struct.pack("<2HQ", 1, 8, offset), _LARGE
        self._directory += _CENTRAL.pack(
            _CENTRAL_SIGNATURE, _UNIX | version, version, *common, len(extra), 0, 0, 0, _MODE, offset
        )
        self._directory += stem + extra
        self._count += 1
        self._offset += _LOCAL.size + len(stem) + size
        return _local(stem, size, crc)

    def end(self) -> tuple[bytearray, bytes]:
        """What stands after the last file: the directory, and where it is."""
        count, size, offset = self._count, len(self._directory), self._offset
        records = b""
        if count > _MOST or max(size, offset) > _LARGEST:
            records = _END_64.pack(b"PK\6\6", 44, _LARGE, _LARGE, 0, 0, count, count, size, offset)
            records += _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
        least = min(count, _MOST)
        end = _END.pack(b"PK\5\6", 0, 0, least, least, min(size, 0xFFFFFFFF), min(offset, 0xFFFFFFFF), 0)
        return self._directory, records + end


def _local(stem: bytes, size: int, crc: int) -> bytes:
    return _LOCAL.pack(_LOCAL_SIGNATURE, _PLAIN, 0, 0, 0, _DATE, crc, size, size, len(stem), 0) + stem


def read_header(file, name: str, limit: int) -> tuple[int, int]:
    """Size and CRC-32 of the next file of an archive, which must be ``name``. Raises ValueError."""
    stem = name.encode("ascii")
    data = read_exactly(file, _LOCAL.size + len(stem), name)
    if not data.endswith(stem):
        raise ValueError(f"holds another file where {name} should be")
    crc, size = struct.unpack_from("<2I", data, 14)
    if data != _local(stem, size, crc):
        raise ValueError(f"{name} is not stored as it was written")
    if size > limit:
        raise ValueError(f"{name} has {size} bytes, at most {limit} were written")
    return size, crc

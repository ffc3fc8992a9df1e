"""Reading files that are not trusted: a declared size takes no memory before the bytes are there."""

from __future__ import annotations

import math
from typing import BinaryIO

_PIECE = 1 << 20


def read_exactly(file: BinaryIO, size: int, name: str) -> bytes:
    """The next ``size`` bytes. Raises ValueError, which calls them ``name``, if there are fewer."""
    data = file.read(min(size, _PIECE))
    if size > _PIECE:
        pieces = [data]
        while pieces[-1] and (left := size - sum(map(len, pieces))):
            pieces.append(file.read(min(left, _PIECE)))
        data = b"".join(pieces)
    if len(data) != size:
        raise ValueError(f"{name}: ends too early")
    return data


def largest_png(shape: tuple[int, ...]) -> int:
    """Bytes that no PNG of ours exceeds: twice the pixels', since deflate adds a thousandth, and room for the mark."""
    return 2 * math.prod(shape) + 65536

"""``npy``: one array a shard, readable by numpy.load (also memory-mapped).

int16 [n, leads, time] of ECGs, uint8 [n, height, width, 3|4] of images.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..._npy_file import read_header
from .base import Format


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What stands before the data of a little-endian, C-order array in NumPy's format 1.0.

    Written here because numpy's own pads differently from version to version, and the samples' digest covers it.
    """
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"
    length = -(-(10 + len(text) + 1) // 64) * 64 - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"


class NpyFormat(Format):
    """NumPy's format 1.0."""

    name, suffixes, file_per_sample = "npy", (".npy",), False
    sparse = True
    is_npy = True

    def encode(self, samples, first=0):
        return [np.ascontiguousarray(samples)]

    def join(self, shard, parts):
        yield npy_header(self.context.dtype, (shard.count, *self.context.shape))
        yield from super().join(shard, parts)

    def decode(self, files, shard):
        file = next(iter(files))
        self._check_header(file, (shard.count, *self.context.shape))
        dtype = np.dtype(self.context.dtype).newbyteorder("<")
        size = prod(self.context.shape) * dtype.itemsize
        for _ in range(shard.count):
            data = file.read(size)
            if len(data) != size:
                raise ValueError("ends too early")
            yield np.frombuffer(data, dtype).reshape(self.context.shape)

    def _check_header(self, file, shape: tuple[int, ...]) -> None:
        found = read_header(file)
        if found != (shape, False, np.dtype(self.context.dtype).newbyteorder("<")):
            raise ValueError(f"holds {found[2]} {list(found[0])}")

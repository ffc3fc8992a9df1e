"""``npy``: one array a shard, readable by numpy.load (also memory-mapped).

int16 [n, leads, time] of ECGs, uint8 [n, height, width, 3|4] of images.
"""

from __future__ import annotations

import io

import numpy as np

from .base import Format


class NpyFormat(Format):
    """NumPy's format 1.0."""

    name, suffix, file_per_sample = "npy", ".npy", False

    def preamble(self, shard):
        header = io.BytesIO()
        description = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(self.context.dtype).newbyteorder("<")),
            "fortran_order": False,
            "shape": (shard.count, *self.context.shape),
        }
        np.lib.format.write_array_header_1_0(header, description)
        return header.getvalue()

    def encode(self, samples, first=0):
        return [np.ascontiguousarray(samples)]

    def decode(self, files, shard):
        array = np.load(io.BytesIO(files[0]), allow_pickle=False)
        if array.shape != (shard.count, *self.context.shape) or array.dtype != np.dtype(self.context.dtype):
            raise ValueError(f"holds {array.dtype} {list(array.shape)}")
        return iter(array)

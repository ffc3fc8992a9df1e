"""Labels as a table of text, for formats whose files have no room for them: ``labels/<shard>.csv``."""

from __future__ import annotations

import math
from typing import BinaryIO

import numpy as np

from ..plan import Shard

_WIDEST = 26  # bytes of a number and the comma after it


def label_text(shard: Shard) -> bytes:
    """A row a sample, its number and labels; a field is empty where something could not be measured.

    Numbers have the fewest digits that read as the same float64.
    """
    lines = [",".join(("index", *shard.labels))]
    columns = [values.tolist() for values in shard.labels.values()]
    for number, *row in zip(shard.numbers, *columns, strict=True):
        lines.append(",".join((str(number), *("" if math.isnan(value) else repr(value) for value in row))))
    return ("\n".join(lines) + "\n").encode()


def labels_of_text(file: BinaryIO, shard: Shard, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What :func:`label_text` wrote of ``shard``, float64 [count] by name. Raises ValueError if it is not that."""
    head = ",".join(("index", *names))
    rows = file.read(len(head) + 1 + shard.count * (len(names) + 1) * _WIDEST + 1).decode().split("\n")
    if rows[0] != head or rows[-1] or len(rows) != shard.count + 2:
        raise ValueError("has not the rows or columns that its labels have")
    cells = [row.split(",") for row in rows[1:-1]]
    if any(len(row) != len(names) + 1 or row[0] != str(k) for row, k in zip(cells, shard.numbers, strict=True)):
        raise ValueError("has labels of other samples")
    return {name: np.array([float(row[k] or "nan") for row in cells]) for k, name in enumerate(names, 1)}

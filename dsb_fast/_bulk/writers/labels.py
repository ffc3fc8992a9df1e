"""Labels as a table of text, for formats whose files have no room for them: ``labels/<shard>.csv``."""

from __future__ import annotations

import math

from ..plan import Shard


def label_text(shard: Shard) -> bytes:
    """A row a sample, its number and labels; a field is empty where something could not be measured.

    Numbers have the fewest digits that read as the same float64.
    """
    lines = [",".join(("index", *shard.labels))]
    columns = [values.tolist() for values in shard.labels.values()]
    for number, *row in zip(shard.numbers, *columns, strict=True):
        lines.append(",".join((str(number), *("" if math.isnan(value) else repr(value) for value in row))))
    return ("\n".join(lines) + "\n").encode()

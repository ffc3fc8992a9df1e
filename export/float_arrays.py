"""The tensors of a checkpoint as float32 arrays, in memory bounded by what the file holds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dsb_fast._errors import CheckpointError

from .torch_file import Tensor

_NAMED = 4  # of all that is wrong


def shown(value: Any) -> str:
    """A name or value in the file, fit to stand in a message."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.]{,99}", value, re.ASCII):
        return value
    if isinstance(value, int) and value.bit_length() > 64:
        return "a huge number"
    if isinstance(value, (str, bytes, int, float, type(None))):
        return ascii(value[:60] if isinstance(value, (str, bytes)) else value)
    if isinstance(value, (list, tuple)) and len(value) <= 16 and all(type(v) in (int, float, str) for v in value):
        return "[" + ", ".join(map(shown, value))[:120] + "]"
    return f"a {type(value).__name__}"


def refuse(what: str, wrong: list[str]) -> None:
    """Raises CheckpointError that names the first of what is wrong with ``what``, if anything is."""
    if wrong:
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise CheckpointError(f"{what}: " + "; ".join(wrong[:_NAMED]) + more)


def compare(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Which tensors are missing, too many or of another shape than expected."""
    wrong = [f"{name} is missing" for name in expected if name not in tensors]
    for name, tensor in tensors.items():
        if name not in expected:
            wrong.append(f"{shown(name)} is not part of such a network")
        elif tensor.shape != expected[name]:
            wrong.append(f"{name} is {shown(tensor.shape)}, needs {list(expected[name])}")
    return wrong


def read_arrays(tensors: Mapping[str, Tensor]) -> tuple[dict[str, np.ndarray], list[str]]:
    """float32 arrays of floating point tensors, not to be written to, and which of them are not finite.

    Raises CheckpointError for tensors that overlap: a short file could be read as endlessly many numbers.
    """
    views = {(id(t.storage), t.offset, t.shape, t.strides): t for t in tensors.values()}
    stored = {id(t.storage): t.storage.count for t in views.values()}
    count = sum(math.prod(t.shape) for t in views.values())
    if count > sum(stored.values()):
        raise CheckpointError(f"its tensors overlap: {count} values are made of {sum(stored.values())}")
    read: dict[tuple, np.ndarray] = {}
    arrays, wrong = {}, []
    for name, tensor in tensors.items():
        place = id(tensor.storage), tensor.offset, tensor.shape, tensor.strides
        if place not in read:
            with np.errstate(over="ignore", invalid="ignore"):
                read[place] = np.asarray(tensor.numpy(), np.float32)
            read[place].flags.writeable = False
        arrays[name] = read[place]
        if not np.isfinite(read[place]).all():
            wrong.append(f"{shown(name)} has values that are not finite")
    return arrays, wrong

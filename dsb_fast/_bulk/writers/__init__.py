"""The formats. One module each, found by name in one table; a format turns samples into bytes and back."""

from __future__ import annotations

from ..._errors import InputError
from .base import Format, FormatContext
from .dummy import DummyFormat
from .npy import NpyFormat
from .text import AscFormat, CsvFormat

FORMATS: dict[str, type[Format]] = {f.name: f for f in (AscFormat, CsvFormat, NpyFormat, DummyFormat)}


def find(name: str) -> type[Format]:
    """The format called ``name``. Raises InputError."""
    if name not in FORMATS:
        raise InputError(f"format: '{name}' is not known; there are {', '.join(FORMATS)}")
    return FORMATS[name]


__all__ = ["FORMATS", "Format", "FormatContext", "find"]

"""The formats. One module each, found by name in one table; a format turns samples into bytes and back."""

from __future__ import annotations

from ..._errors import InputError
from .base import IMAGE, SIGNAL, Format, FormatContext
from .dummy import DummyFormat
from .jpg import JpgFormat
from .npy import NpyFormat
from .png import PngFormat
from .text import AscFormat, CsvFormat
from .webp import WebpFormat

FORMATS: dict[str, type[Format]] = {
    f.name: f for f in (AscFormat, CsvFormat, PngFormat, JpgFormat, WebpFormat, NpyFormat, DummyFormat)
}
_PLURALS = {SIGNAL: "ECGs", IMAGE: "images"}


def names(kind: str | None = None) -> list[str]:
    """The formats that hold samples of a kind; None for all."""
    return [name for name, found in FORMATS.items() if kind is None or kind in found.kinds]


def find(name: str, kind: str | None = None) -> type[Format]:
    """The format called ``name``, for samples of ``kind`` ("signal", "image"). Raises InputError."""
    if name not in FORMATS:
        raise InputError(f"format: '{name}' is not known; there are {', '.join(names(kind))}")
    if kind is not None and kind not in FORMATS[name].kinds:
        raise InputError(f"format: '{name}' can't hold {_PLURALS[kind]}; formats for them: {', '.join(names(kind))}")
    return FORMATS[name]


__all__ = ["FORMATS", "IMAGE", "SIGNAL", "Format", "FormatContext", "find", "names"]

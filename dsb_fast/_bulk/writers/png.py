"""``png``: lossless, with the mark as text and as XMP."""

from __future__ import annotations

from dataclasses import replace

from ... import _images
from ..._errors import InputError
from .base import SIGNAL
from .image import ImageFormat


class PngFormat(ImageFormat):
    """Portable Network Graphics; ``compress_level`` 0 to 9."""

    name, suffixes = "png", (".png",)
    options = {**ImageFormat.options, "compress_level": _images.PNG_LEVEL}  # noqa: RUF012

    def __init__(self, context):
        super().__init__(context)
        self._level = self._number("compress_level", 0, 9)

    def _settings(self):
        return {"level": self._level}


PNG_OPTIONS = {name: value for name, value in PngFormat.options.items() if name != "grid"}  # of a picture in a file


def pictures_of(context, name: str) -> PngFormat | None:
    """What encodes the pictures of format ``name``, None of signals. Raises InputError for a picture's option there."""
    if context.kind != SIGNAL:
        given = {option: value for option, value in context.options.items() if option in PNG_OPTIONS}
        return PngFormat(replace(context, options=given))
    for option, value in PNG_OPTIONS.items():
        if context.options.get(option, value) != value:
            raise InputError(f"{option}: format {name} has it for images, not for ECGs")
    return None

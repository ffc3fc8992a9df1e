"""``png``: lossless, with the mark as text and as XMP."""

from __future__ import annotations

from ... import _images
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

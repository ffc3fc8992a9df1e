"""``jpg``: small, not lossless, never transparent; with the mark as XMP."""

from __future__ import annotations

from ... import _images
from .image import ImageFormat


class JpgFormat(ImageFormat):
    """Baseline JPEG, colours at full resolution; ``quality`` 1 to 100."""

    name, suffixes = "jpg", (".jpg",)
    options = {**ImageFormat.options, "quality": _images.JPEG_QUALITY}  # noqa: RUF012
    tolerance = 1.0  # grey levels; 0.2 were measured with one value in 200 moved by 1, other samples differ by tens

    def __init__(self, context):
        super().__init__(context)
        self._quality = self._number("quality", 1, 100)

    def _settings(self):
        return {"quality": self._quality}

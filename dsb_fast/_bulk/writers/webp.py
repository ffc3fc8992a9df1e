"""``webp``: lossless, or small with ``quality``; with the mark as XMP."""

from __future__ import annotations

from .image import ImageFormat

_TOLERANCE = 10.0  # grey levels; 6 were measured as for jpg, since every block chooses how it is coded


class WebpFormat(ImageFormat):
    """WebP; lossless unless ``quality`` 1 to 100 is given."""

    name, suffixes = "webp", (".webp",)
    options = {**ImageFormat.options, "quality": None}  # noqa: RUF012

    def __init__(self, context):
        super().__init__(context)
        self._quality = self._number("quality", 1, 100)
        if self._quality is not None:
            self.tolerance = _TOLERANCE

    def _settings(self):
        return {"quality": self._quality}

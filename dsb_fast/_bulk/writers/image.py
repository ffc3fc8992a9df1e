"""What ``png``, ``jpg`` and ``webp`` share: a file an image or a sheet, marked as synthetic, on Pillow."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np

from ... import _images
from ..._errors import InputError
from ..._synthetic import Mark
from .base import IMAGE, Format

_PADDING = 2  # black pixels between the images of a sheet, as torchvision has them


class ImageFormat(Format):
    """``<id>.<name>``, an image; with option ``grid`` N a sheet of N x N consecutive ones, named after the first."""

    file_per_sample = True
    sparse = True
    kinds = (IMAGE,)
    options = {"grid": None, "synthetic_mark": True}  # noqa: RUF012

    def __init__(self, context):
        super().__init__(context)
        self._mark = Mark.of(context.about) if self._flag("synthetic_mark") else None
        self.grid = self._number("grid", 2, 32)
        self.group = self.grid**2 if self.grid else 1
        if context.dtype != "uint8":
            raise InputError(f"format {self.name}: samples are {context.dtype}, images are uint8")
        _images.check_size(self.name, context.shape)
        _images.check_size(self.name, self._file_shape)

    def _flag(self, name: str) -> bool:
        value = self.context.options.get(name, self.options[name])
        if not isinstance(value, bool):
            raise InputError(f"{name}: {value!r}; it is true or false")
        return value

    def _number(self, name: str, low: int, high: int) -> int | None:
        """A whole number among the format's options, None if that is its default and nothing was asked for."""
        value = self.context.options.get(name, self.options[name])
        if value is None and self.options[name] is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputError(f"{name}: {value!r}; it must be a whole number from {low} to {high}")
        return value

    @cached_property
    def _file_shape(self) -> tuple[int, ...]:
        height, width, channels = self.context.shape
        if not self.grid:
            return (height, width, channels)
        return (self.grid * (height + _PADDING) + _PADDING, self.grid * (width + _PADDING) + _PADDING, channels)

    @property
    def encoder(self):
        """Versions of Pillow and of the library below it, and a digest of the mark's words."""
        versions = _images.encoder_versions(self.name)
        if self._mark:
            versions["mark"] = hashlib.sha256(self._mark.xmp()).hexdigest()[:16]
        return versions

    def _settings(self) -> dict:
        """What the format hands to :func:`_images.encode`."""
        return {}

    def encode(self, samples, first=0):
        return [
            self._file(samples[k : k + self.group], first + k)  # the last sheet of a dataset may have fewer
            for k in range(0, len(samples), self.group)
        ]

    def _file(self, samples: np.ndarray, first: int) -> bytes:
        image = samples[0]
        if self.grid:
            full = np.zeros((self.group, *self.context.shape), np.uint8)
            full[: len(samples)] = samples
            image = _images.make_grid(full, self.grid, _PADDING)
        return _images.encode(image, self.name, self._mark, first=first, count=len(samples), **self._settings())

    def decode(self, files, shard):
        for k, file in enumerate(files):
            image = _images.decode(file.read(), self.name, self._file_shape)
            if self.grid:
                count = min(self.group, shard.count - k * self.group)
                yield from _images.split_grid(image, count, self.context.shape, self.grid, _PADDING)
            else:
                yield image

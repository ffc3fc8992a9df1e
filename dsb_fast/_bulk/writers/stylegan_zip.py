"""``stylegan-zip``: one uncompressed zip of PNGs with labels, what NVIDIA's StyleGAN2-ADA and StyleGAN3 train on."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ... import _labels
from ..._errors import InputError
from ..plan import runs
from .base import IMAGE, Format
from .png import PngFormat
from .provenance import provenance, words_digest
from .reading import largest_png, read_exactly
from .stored_zip import StoredZip, read_header

_LABELS = "dataset.json"
_NAMES_A_PIECE = 4096


class StyleganZipFormat(Format):
    """``00000/img00000000.png`` by sample number, ``dataset.json`` last.

    Options of format png; not compressed by default, as NVIDIA's tool writes them, since training decodes them often.
    """

    name, suffixes, file_per_sample = "stylegan-zip", (".zip",), False
    sparse = True
    kinds = (IMAGE,)
    options = {"synthetic_mark": True, "compress_level": 0}  # noqa: RUF012
    default_shard_size = 1_000_000  # training takes one archive

    def __init__(self, context):
        super().__init__(context)
        height, width, channels = context.shape if len(context.shape) == 3 else (0, 0, 0)
        if channels == 4:
            raise InputError("format stylegan-zip: the images are transparent, it holds RGB only; png and webp are")
        if height != width or height & (height - 1) or not height:
            raise InputError(
                f"format stylegan-zip: samples are {list(context.shape)}, it holds squares of 2^k pixels; png holds any"
            )
        given = {name: context.options.get(name, value) for name, value in self.options.items()}
        self._png = PngFormat(replace(context, options=given))
        self._classes = _classes_of(context.about)

    @property
    def encoder(self):
        """That of format png, and a digest of what ``dataset.json`` says beside labels."""
        return {**self._png.encoder, "words": words_digest(provenance(self.context))}

    def encode(self, samples, first=0):
        return [(zlib.crc32(data), data) for data in self._png.encode(samples, first)]

    def join(self, shard, parts):
        archive, numbers = StoredZip(), iter(shard.numbers)
        for part in parts:
            for crc, data in part:
                yield archive.header(_name(next(numbers)), len(data), crc) + data
        size, crc = 0, 0
        for piece in self._labels(shard):
            size, crc = size + len(piece), zlib.crc32(piece, crc)
        yield archive.header(_LABELS, size, crc)
        yield from self._labels(shard)
        yield from archive.end()

    def _label_list(self, shard) -> Iterator[bytes]:
        """The beginning of ``dataset.json``, piece by piece."""
        if self._classes is None:
            yield b'{"labels": null'
            return
        yield b'{"labels": ['
        for begin in range(0, shard.count, _NAMES_A_PIECE):
            numbers = shard.numbers[begin : begin + _NAMES_A_PIECE]
            classes = (label for _, first, count in runs(numbers) for label in self._classes(first, count))
            pairs = zip(map(_name, numbers), classes, strict=True)
            yield (", " * (begin > 0) + ", ".join(f'["{name}", {label}]' for name, label in pairs)).encode()
        yield b"]"

    def _labels(self, shard) -> Iterator[bytes]:
        yield from self._label_list(shard)
        words = provenance(self.context)
        text = json.dumps({"dsb_fast": words}, sort_keys=True)[1:-1]
        yield (f", {text}}}" if words else "}").encode()

    def decode(self, files, shard):
        file, archive = next(iter(files)), StoredZip()
        limit = largest_png(self.context.shape)
        for index in shard.numbers:
            name = _name(index)
            size, crc = read_header(file, name, limit)
            yield self._image(file, name, size, crc)
            archive.header(name, size, crc)
        self._check_labels(file, archive, shard)
        for piece in archive.end():
            if file.read(len(piece)) != piece:
                raise ValueError("its directory is not that of its files")
        if file.read(1):
            raise ValueError("goes on after its end")

    def decode_one(self, files, shard, position):
        file, limit = next(iter(files)), largest_png(self.context.shape)
        for index in shard.numbers[:position]:
            size, _ = read_header(file, _name(index), limit)
            file.seek(size, io.SEEK_CUR)
        name = _name(shard.numbers[position])
        return self._image(file, name, *read_header(file, name, limit))

    def _image(self, file, name: str, size: int, crc: int):
        data = read_exactly(file, size, name)
        if zlib.crc32(data) != crc:
            raise ValueError(f"{name} is damaged")
        return next(self._png.decode([io.BytesIO(data)], None))

    def _check_labels(self, file, archive: StoredZip, shard) -> None:
        """The labels are those of the recipe; what is said beside them may be in the words of another version."""
        known = sum(map(len, self._labels(shard)))
        size, crc = read_header(file, _LABELS, known + 65536)
        left, found = size, 0
        for piece in self._label_list(shard):
            data = file.read(min(len(piece), left))
            if data != piece:
                raise ValueError(f"{_LABELS} has other labels")
            left, found = left - len(data), zlib.crc32(data, found)
        data = read_exactly(file, left, _LABELS)
        if zlib.crc32(data, found) != crc:
            raise ValueError(f"{_LABELS} is damaged")
        try:
            json.loads(b'{"labels": null' + data)
        except RecursionError:
            raise ValueError(f"{_LABELS} is damaged") from None
        archive.header(_LABELS, size, crc)


def _classes_of(about: dict) -> Callable[[int, int], Iterable[int]] | None:
    """What gives the classes of ``count`` samples from ``first`` on; None where samples have none, or a mixture."""
    label, labels, seed = (about.get("options") or {}).get("label"), about.get("labels"), about.get("seed")
    if label == _labels.RANDOM and type(labels) is int and type(seed) is int:
        return lambda first, count: _labels.classes(seed, first, count, labels).tolist()
    if isinstance(label, list) and sorted(label) == [0] * (len(label) - 1) + [1]:
        label = label.index(1)
    return (lambda first, count: [label] * count) if type(label) is int else None


def _name(index: int) -> str:
    """A thousand images a folder: of eight digits the first five."""
    digits = f"{index:08d}"
    return f"{digits[:-3]}/img{digits}.png"

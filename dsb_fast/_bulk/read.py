"""Reading a finished dataset back: its format, single samples, and several images on one sheet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

import numpy as np

from .. import _images
from .._errors import DatasetError, InputError
from .._files import open_plain
from . import writers
from .kept import plan_of, stored
from .manifest_file import read_manifest
from .places import fetched, resolve
from .plan import SHARD_RANGE, Plan, Shard


def open_format(path: str, manifest: dict) -> writers.Format:
    """The format of a finished dataset, ready to decode. Raises DatasetError."""
    try:
        return writers.find(manifest["format"])(writers.FormatContext.of(manifest))
    except InputError as error:
        raise DatasetError(f"{path}: {error}") from None
    except (TypeError, ValueError):
        raise DatasetError(f"{path}: dataset.json has entries of another type; it is damaged") from None


def index_files(
    format_: writers.Format, recipe: dict, records: Iterable[dict] = ()
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The files of a format for the whole dataset; a part has none, since they may describe all of it.

    Without the ``records`` of a filtered dataset's shards only their names are right.
    """
    return iter(()) if SHARD_RANGE in recipe else format_.index_files(plan_of(recipe, records))


def open_files(folder: str, names: list[str]) -> Iterator[BinaryIO]:
    """A shard's files, each open for reading until the next is asked for."""
    for name in names:
        with open_plain(os.path.join(folder, name)) as file:
            yield file


def file_of(format_: writers.Format, shard: Shard, number: int) -> tuple[Shard, int]:
    """The smallest part of a shard, as it is stored, that can be read and holds sample ``number``; its place there."""
    if not format_.file_per_sample:
        return shard, shard.numbers.index(number)
    if shard.kept is not None:
        return Shard(number, 1), 0
    position = number - shard.first
    first = position // format_.group * format_.group
    return Shard(shard.first + first, min(format_.group, shard.count - first)), position - first


def stored_sample(folder: str, format_: writers.Format, shard: Shard, number: int) -> np.ndarray:
    """Sample ``number`` of a shard as it is stored. Raises ValueError if its file is not what was written."""
    part, position = file_of(format_, shard, number)
    names = format_.file_names(part)
    with fetched(folder, names) as here:
        return format_.decode_one(open_files(here, names), part, position)


def _stored_samples(folder: str, format_: writers.Format, manifest: dict) -> Iterator[np.ndarray]:
    for planned, record in zip(Plan.of(manifest), manifest["shards"], strict=True):
        shard = stored(planned, record)
        names = format_.file_names(shard)
        with fetched(folder, names) as here:
            yield from format_.decode(open_files(here, names), shard)


def sheet(folder: str, count: int | None = None, nrow: int = 8, padding: int = 2) -> np.ndarray:
    """The first ``count`` images of a finished dataset (all if None) on one sheet, uint8 [height, width, 3|4].

    Layout of :func:`dsb_fast._images.make_grid`. Raises DatasetError if the folder holds no such images.
    """
    folder = resolve(folder)
    manifest = read_manifest(folder)
    if manifest is None or not manifest.get("complete"):
        raise DatasetError(f"{folder}: no finished dataset; dsb-fast generate makes one")
    format_ = open_format(folder, manifest)
    if format_.context.kind != writers.IMAGE or not format_.suffixes:
        raise DatasetError(f"{folder}: format {format_.name} of {manifest['model']} holds no images")
    there = sum(record.get("kept", record["count"]) for record in manifest["shards"])
    count = there if count is None else count
    if not 1 <= count <= there:
        raise InputError(f"count: {count}; {folder} has {there} images")
    try:
        images = list(islice(_stored_samples(folder, format_, manifest), count))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder}: damaged ({error}); dsb-fast verify tells where") from None
    return _images.make_grid(np.stack(images), nrow, padding)

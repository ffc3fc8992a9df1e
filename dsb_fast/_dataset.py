"""generate_dataset: what ``dsb-fast generate`` does, as a function."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ._api import load
from ._errors import InputError

if TYPE_CHECKING:
    from ._generator import Generator

_MOST = {"batch_size": 65536, "workers": 1024}


def generate_dataset(
    model,
    count: int,
    output,
    *,
    seed: int = 0,
    start: int = 0,
    format: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    checkpoint=None,
    card: dict | None = None,
    network: str | None = None,
    backend: str = "auto",
    force_precision: bool = False,
    format_options: dict | None = None,
    keep: str | Callable | None = None,
    keep_id: str | None = None,
    until: int | None = None,
    annotate: str | Iterable[str] | None = None,
    shard_size: int | None = None,
    shard_range: str | None = None,
    part: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    overwrite: bool = False,
    extend: bool = False,
    recipe_only: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options,
) -> dict:
    """Make the dataset of samples ``start`` to ``start + count - 1`` of ``seed`` in ``output``; returns its manifest.

    The function of ``dsb-fast generate``: parameters have the names of its options, and the files are the same, byte
    for byte (docs/dataset.md). What is there of this dataset already is kept, and interrupted (KeyboardInterrupt) the
    same call goes on. Nothing is printed.

    Parameters: ``model`` a name or path, as :func:`dsb_fast.load` takes it, or a Generator that it returned;
    ``output`` a folder or a URL (docs/stores.md); ``device`` to ``force_precision`` are load's; ``format_options``
    those of the format, such as ``{"quality": 90}``; ``keep`` a condition or, with a ``keep_id`` that names it, a
    function, ``until`` how many to keep, and ``annotate`` names or "all" (docs/filters.md); ``shard_range`` "A:B" and
    ``part`` "K/N" (docs/clusters.md); ``engine`` "local" or "ray"; ``progress(done, of)`` is called after every batch;
    ``options`` those of ``Generator.sample``.

    The manifest is ``dataset.json`` as a dictionary: ``shards`` with names and checksums, and of filtered datasets
    ``yield``. Raises InputError for a wrong argument, DatasetError for a folder that can't be used, GenerationError if
    the work fails, or fewer samples than ``until`` are kept.

    >>> generate_dataset("cardiovascular.ecg", 100, "ecgs", seed=7, format="npy")["shards"][0]["name"]
    '000000000.npy'
    """
    from ._bulk.manifest_file import read_manifest
    from ._bulk.part import asked_part
    from ._bulk.places import resolve
    from ._bulk.run import generate_dataset, make_recipe, write_recipe
    from ._bulk.until import check_until, refuse_fewer
    from ._generator import whole_number

    how = {"device": device, "precision": precision, "checkpoint": checkpoint, "card": card, "network": network,
           "backend": backend, "force_precision": force_precision}  # fmt: skip
    for name, value in (("batch_size", batch_size), ("workers", workers)):
        if value is not None and whole_number(name, value, 1) > _MOST[name]:
            raise InputError(f"{name}: {value}; it must be from 1 to {_MOST[name]}")
    output = resolve(output)
    generator = _opened(model, how)
    recipe, chosen, format_ = make_recipe(
        generator, count, seed, start, format, shard_size, format_options,
        keep=keep, keep_id=keep_id, annotate=annotate, **options,
    )  # fmt: skip
    recipe = asked_part(recipe, shard_range, part, os.environ)
    check_until(recipe, until, output, engine, recipe_only)
    if recipe_only:
        write_recipe(output, recipe, format_, overwrite)
    else:
        generate_dataset(
            generator, output, recipe, chosen, format_,
            batch_size=batch_size, workers=workers, overwrite=overwrite, extend=extend, until=until,
            progress=progress, keep=keep if callable(keep) else None, engine=engine, ray_address=ray_address,
        )  # fmt: skip
    manifest = read_manifest(output)
    refuse_fewer(output, manifest, until)
    return manifest


def _opened(model, how: dict) -> Generator:
    """The generator of ``model``, which ``how`` says how to load unless it is one. Raises InputError."""
    from ._generator import Generator

    if not isinstance(model, Generator):
        return load(model, **how)
    unless = {"device": "auto", "precision": "fp32", "backend": "auto", "force_precision": False}
    wrong = [name for name, value in how.items() if value != unless.get(name)]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: the Generator has been loaded already; give this to dsb_fast.load")
    return model

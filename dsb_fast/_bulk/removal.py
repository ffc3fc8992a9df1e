"""Removing a dataset's own files from a folder, and nothing else that is in it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from .._errors import InputError
from .manifest_file import JOURNAL, MANIFEST
from .plan import SHARD_RANGE, Plan, Shard
from .read import index_files
from .system import System
from .writers import Format, FormatContext, find


def remove_file(folder: str, name: str, system: System) -> None:
    """Remove a file of ``folder`` if it is there; ``name`` may be in a folder of the format's own."""
    path = os.path.join(folder, name)
    if "/" in name and os.path.islink(os.path.dirname(path)):
        return  # what lies behind it is not the dataset's
    with contextlib.suppress(FileNotFoundError):
        system.unlink(path)


def remove_dataset(folder: str, manifest: dict, system: System) -> None:
    """Remove the files of the dataset in ``folder``, its manifest last; foreign files stay."""
    with contextlib.suppress(InputError, TypeError, ValueError):  # of another version: its files are foreign
        format_ = find(manifest["format"])(FormatContext.of(manifest))
        plan = Plan.of(manifest)
        for name in _shard_files(folder, format_, plan, manifest.get(SHARD_RANGE, [0])[0]):
            remove_file(folder, name, system)
        for name, _ in index_files(format_, manifest):
            remove_file(folder, name, system)
        inners = {os.path.dirname(name) for name, _ in index_files(format_, manifest)}
        for inner in (_folders(format_, plan) | inners) - {""}:
            with contextlib.suppress(OSError):  # it is not there, or foreign files are in it
                system.remove_directory(os.path.join(folder, inner))
    remove_file(folder, JOURNAL, system)
    remove_file(folder, MANIFEST, system)


def _shard_files(folder: str, format_: Format, plan: Plan, before: int) -> Iterator[str]:
    """The files of ``plan`` in ``folder``, by what is there: a plan may be of more shards than anybody can count.

    ``before`` is how many shards the whole dataset has before those of ``plan``.
    """
    is_own = _is_of(format_, plan, before)
    for inner in sorted(_folders(format_, plan)):
        path = os.path.join(folder, inner)
        if not os.path.isdir(path):
            continue
        for entry in sorted(os.listdir(path), key=_numbers):
            name = os.path.join(inner, entry)
            if is_own(name):
                yield name


def remove_behind(folder: str, format_: Format, plan: Plan, number: int, last: Shard, system: System) -> None:
    """Remove the files of shards ``number`` and on of ``plan`` that are not those of ``last``, which ends there."""
    stay = set(format_.shard_files(last))
    for name in _shard_files(folder, format_, plan.part(number, plan.shards), number):
        if name not in stay:
            remove_file(folder, name, system)


def own_names(manifest: dict, names: list[str]) -> list[str]:
    """Those of ``names``, relative to the dataset's place, that are files of its shards or of its index."""
    with contextlib.suppress(InputError, TypeError, ValueError):  # of another version: its files are foreign
        format_ = find(manifest["format"])(FormatContext.of(manifest))
        plan = Plan.of(manifest)
        is_own, inner = _is_of(format_, plan, manifest.get(SHARD_RANGE, [0])[0]), _folders(format_, plan)
        index = {name for name, _ in index_files(format_, manifest)}
        return [name for name in names if name in index or (os.path.dirname(name) in inner and is_own(name))]
    return []


def _is_of(format_: Format, plan: Plan, before: int) -> Callable[[str], bool]:
    """Tells whether a file is one of a shard of ``plan``."""
    names_of = lru_cache(maxsize=8)(lambda k: frozenset(format_.shard_files(plan[k])))
    return lambda name: any(name in names_of(k) for k in _shards_named(os.path.basename(name), plan, before))


def _folders(format_: Format, plan: Plan) -> set[str]:
    """Where the files of shards are: '' for the dataset's own folder, else a folder in it."""
    return {os.path.dirname(name) for name in format_.shard_files(plan[0])} if plan.count else set()


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall("[0-9]+", name)]


def _shards_named(name: str, plan: Plan, before: int) -> Iterator[int]:
    """The shards that may have a file ``name``: files have the numbers of samples or of shards in their names."""
    for number in _numbers(name):
        if plan.start <= number < plan.start + plan.count:
            yield (number - plan.start) // plan.shard_size
        if before <= number < before + plan.shards:
            yield number - before

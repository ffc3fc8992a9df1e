"""Removing a dataset's own files from a folder, and nothing else that is in it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from .._errors import InputError
from .manifest_file import JOURNAL, MANIFEST, MAX_SHARDS
from .plan import Plan
from .system import System
from .writers import Format, FormatContext, find


def remove_file(folder: str, name: str, system: System) -> None:
    """Remove a file of ``folder`` if it is there."""
    path = os.path.join(folder, name)
    if "/" in name and os.path.islink(os.path.dirname(path)):
        return  # what lies behind it is not the dataset's
    with contextlib.suppress(FileNotFoundError):
        system.unlink(path)


def remove_dataset(folder: str, manifest: dict, system: System) -> None:
    """Remove the files of the dataset in ``folder``, its manifest last; foreign files stay."""
    with contextlib.suppress(InputError, TypeError, ValueError):  # of another version: its files are foreign
        format_ = find(manifest["format"])(FormatContext.of(manifest))
        for name in _shard_files(folder, format_, Plan.of(manifest)):
            remove_file(folder, name, system)
        plan = Plan.of(manifest)
        for name, _ in format_.index_files(plan):
            remove_file(folder, name, system)
        for inner in {os.path.dirname(name) for name in format_.file_names(plan[0])} - {""}:
            with contextlib.suppress(OSError):  # foreign files are in it
                os.rmdir(os.path.join(folder, inner))
    remove_file(folder, JOURNAL, system)
    remove_file(folder, MANIFEST, system)


def _shard_files(folder: str, format_: Format, plan: Plan) -> Iterator[str]:
    """The files of ``plan`` in ``folder``, by what is there: a plan may be of more shards than anybody can count."""
    if any("/" in name for name in format_.file_names(plan[0])):  # by other numbers than samples have
        for k in range(min(plan.shards, MAX_SHARDS)):
            yield from format_.file_names(plan[k])
        return
    numbered = [(int(number[0]), name) for name in os.listdir(folder) if (number := re.match("[0-9]{1,20}", name))]
    k, names = -1, frozenset()
    for number, name in sorted(numbered):
        if plan.start <= number < plan.start + plan.count:
            if (number - plan.start) // plan.shard_size != k:
                k = (number - plan.start) // plan.shard_size
                names = frozenset(format_.file_names(plan[k]))
            if name in names:
                yield name

"""Removing a dataset's own files from a folder, and nothing else that is in it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from .._errors import InputError
from .manifest_file import JOURNAL, MANIFEST
from .plan import Plan
from .system import System
from .writers import Format, FormatContext, find


def remove_file(folder: str, name: str, system: System) -> None:
    """Remove a file of ``folder`` if it is there."""
    with contextlib.suppress(FileNotFoundError):
        system.unlink(os.path.join(folder, name))


def remove_dataset(folder: str, manifest: dict, system: System) -> None:
    """Remove the files of the dataset in ``folder``, its manifest last; foreign files stay."""
    with contextlib.suppress(InputError, TypeError, ValueError):  # of another version: its files are foreign
        format_ = find(manifest["format"])(FormatContext.of(manifest))
        for name in _shard_files(folder, format_, Plan.of(manifest)):
            remove_file(folder, name, system)
        for name, _ in format_.index_files(Plan.of(manifest)):
            remove_file(folder, name, system)
    remove_file(folder, JOURNAL, system)
    remove_file(folder, MANIFEST, system)


def _shard_files(folder: str, format_: Format, plan: Plan) -> Iterator[str]:
    """The files of ``plan`` in ``folder``, by what is there: a plan may be of more shards than anybody can count."""
    numbered = [(int(number[0]), name) for name in os.listdir(folder) if (number := re.match("[0-9]{1,20}", name))]
    k, names = -1, frozenset()
    for number, name in sorted(numbered):
        if plan.start <= number < plan.start + plan.count:
            if (number - plan.start) // plan.shard_size != k:
                k = (number - plan.start) // plan.shard_size
                names = frozenset(format_.file_names(plan[k]))
            if name in names:
                yield name

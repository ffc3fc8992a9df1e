"""Existing ECG files to 12 leads or to another format."""

from __future__ import annotations

import os
import re

import numpy as np

from . import _signal_file
from ._bulk.plan import Plan, Shard
from ._bulk.writers import FormatContext, find
from ._errors import InputError
from ._files import write_atomically
from .leads import LEADS_8, LEADS_12, derive_12

_SAID = ("model", "title", "licence", "citation", "weights_sha256")  # of a manifest that holds for converted samples


def _suffix(format: str) -> str:
    return ".hea" if format == "wfdb" else f".{format}"


def _files_of(target: str) -> list[str]:
    """The files that one sample written as ``target`` takes, the last to be written first."""
    stem, suffix = os.path.splitext(target)
    return [target, stem + ".dat"] if suffix == ".hea" else [target]


def plan_outputs(files: list[str], folder: str, format: str | None, overwrite: bool) -> list[tuple[str, str]]:
    """Each file with the path of its result. Raises InputError before anything is written."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InputError(f"{folder}: not a folder; name one that is, or a new one")
    targets: dict[str, str] = {}
    for path in files:
        stem, suffix = os.path.splitext(os.path.basename(path))
        target = os.path.join(folder, stem + (_suffix(format) if format else suffix.lower()))
        if target in targets:
            raise InputError(
                f"{path}: its result would replace that of {targets[target]}; convert them into two folders"
            )
        if target.endswith(".hea") and not re.fullmatch(r"\w+", stem, re.ASCII):
            raise InputError(f"{path}: names of WFDB records have letters, digits and _ only; rename the file")
        for name in filter(os.path.exists, _files_of(target)):
            if os.path.exists(path) and os.path.samefile(path, name):
                raise InputError(f"{path}: its result would replace itself; name another folder")
            if not overwrite:
                raise InputError(f"{name}: is there already; name another folder, or use --overwrite")
        _check_folder(os.path.splitext(target)[0], suffix.lower() == ".npy" and not target.endswith(".npy"), overwrite)
        targets[target] = path
    return [(path, target) for target, path in targets.items()]


def _check_folder(path: str, may_be_made: bool, overwrite: bool) -> None:
    """The folder of a file with several ECGs: only the file tells whether it is needed."""
    if may_be_made and os.path.islink(path):
        raise InputError(f"{path}: is a link; results are written into no folder behind one")
    if may_be_made and os.path.exists(path) and not overwrite:
        raise InputError(f"{path}: is there already; name another folder, or use --overwrite")


def _with_leads(recording: _signal_file.Recording, path: str, leads: int) -> tuple[np.ndarray, tuple[str, ...]]:
    names, samples = recording.lead_names, recording.signal_uv
    if names == LEADS_8 and leads == 12:
        try:
            return derive_12(samples), LEADS_12
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    if names == LEADS_12 and leads == 8:
        return np.ascontiguousarray(samples[:, [LEADS_12.index(lead) for lead in LEADS_8]]), LEADS_8
    if len(names) != leads:
        raise InputError(f"{path}: has leads {', '.join(names)}, from which {leads} can't be made")
    return samples, names


def convert_file(
    path: str, target: str, leads: int, time_column: bool = False, sampling_rate_hz: float | None = None
) -> None:
    """Write ``path`` as ``target`` (its suffix names the format) with 8 or 12 leads. Raises InputError."""
    recording = _signal_file.read(path, sampling_rate_hz)
    samples, names = _with_leads(recording, path, leads)
    options = {"time_column": time_column or recording.has_time_column}
    about = {key: recording.about[key] for key in _SAID if key in recording.about}
    context = FormatContext(samples.shape[1:], "int16", names, recording.sampling_rate_hz, options, about)
    stem, suffix = os.path.splitext(target)
    kind = find("wfdb" if suffix == ".hea" else suffix[1:])(context)
    if kind.file_per_sample and len(samples) != 1:
        os.makedirs(stem, exist_ok=True)
        for name, encoded in zip(kind.file_names(Shard(0, len(samples))), kind.encode(samples), strict=True):
            write_atomically(os.path.join(stem, name), encoded)
        for name, pieces in kind.index_files(Plan(0, len(samples), len(samples))):
            write_atomically(os.path.join(stem, name), b"".join(pieces))
    elif kind.file_per_sample:
        if suffix == ".hea":
            kind.record_name = os.path.basename(stem)
        for name, encoded in zip(reversed(_files_of(target)), kind.encode(samples), strict=True):
            write_atomically(name, encoded)
    else:
        parts = kind.join(Shard(0, len(samples)), [kind.encode(samples)])
        write_atomically(target, b"".join(bytes(memoryview(part).cast("B")) for part in parts))

"""Stands in for ``deepsynthbody.cardiovascular.ecg`` of deepsynthbody 1.0.2: change the import line, no more."""

from __future__ import annotations

import operator
import os

from .._errors import InputError


def generate(num_ecg, out_dir, start_id=0, device="cpu", *, run_device=None, seed=None):
    """Write ``num_ecg`` synthetic 8-lead 10-second ECGs as ``out_dir/<id>.asc``, ids from ``start_id`` on.

    Each file has 5000 lines of 8 whole microvolts, leads I, II, V1..V6, as package deepfake-ecg writes them. Files of
    the same name are replaced; the folder is made if it is not there; no manifest is written.

    ``device`` (or ``run_device``, the name in deepfake-ecg): "cpu", "cuda", "cuda:1". ``seed``: from 0 to 2**64 - 1;
    left out, one is drawn and reported on standard error. File ``<id>.asc`` is sample ``id`` of the seed.

    Raises InputError or DeviceError, each one line.
    """
    from .. import _files, _kernels
    from .._api import load
    from .._cli.common import progress_bar
    from .._fresh_seed import given_or_drawn

    count, start, folder = whole("num_ecg", num_ecg), whole("start_id", start_id), _folder(out_dir)
    if start < 0:
        raise InputError(f"start_id: {start_id}; it can't be negative")
    if count <= 0:
        return
    seed = given_or_drawn(seed, "ECGs")
    progress = progress_bar(False, "ECG")
    generator = load("cardiovascular.ecg", device=str(device if run_device is None else run_device))
    number = start
    for batch in generator.stream(count, seed=seed, start=start):
        for sample in batch:
            _files.write_atomically(os.path.join(folder, f"{number}.asc"), _kernels.rows_as_text(sample, " "))
            number += 1
        if progress:
            progress(number - start, count)


def whole(name: str, value) -> int:
    """``value`` as an int. Raises InputError that names the argument."""
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name}: {value!r} is not a whole number") from None


def _folder(out_dir) -> str:
    """``out_dir``, made if it is not there."""
    try:
        folder = os.fsdecode(out_dir)
        os.makedirs(folder, exist_ok=True)
    except TypeError:
        raise InputError(f"out_dir: {out_dir!r} is neither text nor a path") from None
    except OSError as error:
        raise InputError(f"out_dir: {folder!r} can't be made ({error.strerror}); name another folder") from None
    return folder

"""load, models, devices: what users call first."""

from __future__ import annotations

import os

from ._errors import ModelError
from ._models import REGISTERED, by_category


def load(model, device: str = "auto", precision: str = "fp32", checkpoint=None, *, card=None):
    """A :class:`Generator` for a registered model, a checkpoint or an exported ONNX file.

    Parameters: ``model`` a name such as "cardiovascular.ecg" or a path; ``device`` "auto", "cpu", "cuda", "cuda:1" or
    "openvino"; ``precision`` "fp32"; ``checkpoint`` another weight file for a registered model; ``card`` a dictionary
    of what a foreign checkpoint does not say: length, scale, unit ("uV" or "mV"), sampling_rate_hz, leads, licence,
    citation. What is missing is taken from the published model and listed in ``info["assumed"]``.

    Raises ModelError, CheckpointError or DeviceError, each one line.

    >>> load("cardiovascular.ecg").info["leads"]
    ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']
    """
    from ._generator import Generator
    from ._models.ecg import EcgModel
    from ._models.ecg_source import open_registered, open_source

    name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
    if name is None:
        raise ModelError(f"model: {model!r} is neither a name nor a path")
    if name in REGISTERED:
        source = open_registered(REGISTERED[name], checkpoint, card)
        return Generator(EcgModel(source, name), device, precision)
    if not os.path.exists(name):
        known = ", ".join(REGISTERED)
        raise ModelError(f"model: '{name}' is neither a registered model ({known}) nor a file")
    if checkpoint is not None:
        raise ModelError(f"checkpoint: '{name}' is a file itself; give one or the other")
    return Generator(EcgModel(open_source(name, card)), device, precision)


def models() -> dict[str, list[str]]:
    """Every category of the body with the names of its registered models; empty ones are listed as empty."""
    return by_category()


def devices() -> list[dict]:
    """What ``device="auto"`` can pick from, best first: device, available, auto, detail, and the reason why not."""
    from dataclasses import asdict

    from . import _backends

    return [asdict(row) for row in _backends.devices()]

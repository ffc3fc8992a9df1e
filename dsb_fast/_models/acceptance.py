"""Whether a precision below float32 is close enough to it to be offered: asked of each network, on its own samples."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from .. import _backends, _cache
from .._errors import DeviceError

COUNT = 16  # samples of seed 0, with the options that the model has by itself


def check(model, opened: _backends.Opened, precision: str) -> None:
    """Compare ``opened``, ``model`` in a lower ``precision``, with float32. The verdict is kept in the cache.

    Raises DeviceError, one line with how far off it is.
    """
    near, options = model.near(precision), model.options()
    about = json.dumps([asdict(near), asdict(options), opened.backend.depends_on], sort_keys=True)
    key = ["acceptance", opened.sha256, opened.backend.name, precision, about]
    _, why, _ = _cache.array(key, lambda: (np.zeros(1, np.float32), _refusal(model, opened, near, options) or ""))
    if why:
        raise DeviceError(f"precision {precision}: {model.name} fails its acceptance test ({why}); fp32 works")


def _refusal(model, opened: _backends.Opened, near, options) -> str | None:
    reference = _backends.open_first(model.source, model.key, opened.backend.device, "fp32")
    return near.refusal(_samples(model, opened, options), _samples(model, reference, options))


def _samples(model, opened: _backends.Opened, options) -> np.ndarray:
    size = model.batch_size(opened.backend)
    firsts = range(0, COUNT, size)
    return np.concatenate(
        [model.samples(lambda _: opened.backend, 0, first, min(size, COUNT - first), options) for first in firsts]
    )

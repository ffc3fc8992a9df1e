"""Whether a precision below float32 is close enough to it to be offered: asked of each network, on its own samples."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np

from .. import _backends, _cache
from .._errors import DeviceError

COUNT = 64  # samples of seed 0, with the options that the model has by itself
_VALUES = COUNT * 256 * 256 * 3


def open_accepted(
    model, device: str, precision: str, engine: str = "auto", force: bool = False
) -> tuple[_backends.Opened, str | None]:
    """``model`` in a lower ``precision``, by the first of its source's plans that keeps to ``model.near(precision)``.

    The verdicts are kept in the cache. Raises DeviceError, one line with how far off the last plan is; with ``force``
    that plan is given all the same, and how far off it is.
    """
    if "fp32" not in model.source.plans:  # an exported file, which was tested then
        return _backends.open_first(model.source, model.key, device, precision, None, engine), None
    near, options = model.near(precision), model.options()
    for plan in (None,) if engine == "torch" else model.source.plans.get(precision, (None,)):
        opened = _backends.open_first(model.source, model.key, device, precision, plan, engine)
        about = json.dumps(
            [asdict(near), asdict(options), opened.backend.depends_on, _count(model, options)], sort_keys=True
        )
        key = ["acceptance", opened.sha256, opened.backend.name, precision, about]
        verdict = _cache.array(key, lambda o=opened: _verdict(_refusal(model, o, near, options, engine)))
        if not (why := verdict[1]):
            return opened, None
    if force:
        return opened, why
    raise DeviceError(f"precision {precision}: {model.name} fails its acceptance test ({why}); fp32 works")


def _verdict(why: str | None) -> tuple[np.ndarray, str]:
    return np.zeros(1, np.float32), why or ""


def _refusal(model, opened: _backends.Opened, near, options, engine: str) -> str | None:
    reference = _backends.open_first(model.source, model.key, opened.backend.device, "fp32", None, engine)
    return near.refusal(_samples(model, opened, options), _samples(model, reference, options))


def _samples(model, opened: _backends.Opened, options) -> np.ndarray:
    size, backends = model.batch_size(opened.backend), {model.key: opened.backend, **opened.others}

    def backend_of(key):
        if key not in backends:
            backends[key] = opened.at(key)
        return backends[key]

    count = _count(model, options)
    firsts = range(0, count, size)
    return np.concatenate([model.samples(backend_of, 0, n, min(size, count - n), options) for n in firsts])


def _count(model, options) -> int:
    """COUNT, or fewer of large images, whose values are as many."""
    return max(8, min(COUNT, _VALUES // math.prod(model.sample_shape(options))))

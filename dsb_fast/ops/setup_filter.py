"""Filters for upfirdn2d."""

from __future__ import annotations

import numpy as np

from .._errors import InputError
from ._arguments import is_bfloat16, is_tensor, like, number

_SEPARABLE_FROM = 8  # taps from which a filter is kept one-dimensional


def setup_filter(f, normalize=True, flip_filter=False, gain=1, separable=None):
    """A filter ready for :func:`upfirdn2d`.

    One-dimensional taps become their outer product, unless there are 8 or more or ``separable`` is true. Then: divided
    by their sum (``normalize``), flipped (``flip_filter``), times ``gain`` to the power ndim / 2, since a separable
    filter is applied twice.

    ``f``: taps [t], [h, w], a number, or None for a single tap of 1. Returns float32, ``[t]`` or ``[h, w]``: a tensor
    for a tensor, else numpy. Raises InputError for other shapes, or taps that sum to 0 and are to be normalised.
    Matches StyleGAN2-ADA.

    >>> setup_filter([1, 3, 3, 1]).shape
    (4, 4)
    """
    op = "setup_filter"
    gain = number(op, "gain", gain)
    f = (f.float() if is_tensor(f) else f.astype(np.float32)) if is_bfloat16(f) else f
    taps = f.detach().cpu().numpy() if is_tensor(f) else np.asarray(1 if f is None else f)
    if taps.dtype.kind not in "fiub" or taps.ndim > 2 or taps.size == 0:
        raise InputError(f"{op}: f is {list(taps.shape)} of {taps.dtype}, needs numbers [t] or [h, w]")
    taps = taps.astype(np.float32)
    if taps.ndim == 0:
        taps = taps[None]
    if separable is None:
        separable = taps.ndim == 1 and taps.size >= _SEPARABLE_FROM
    if taps.ndim == 1 and not separable:
        taps = np.outer(taps, taps)
    if taps.ndim != (1 if separable else 2):
        raise InputError(f"{op}: f is {list(taps.shape)}, which can't be separable")
    if normalize:
        total = taps.sum(dtype=np.float32)
        if total == 0:
            raise InputError(f"{op}: the taps sum to 0 and can't be normalised; use normalize=False")
        taps = taps / total
    if flip_filter:
        taps = taps[(slice(None, None, -1),) * taps.ndim]
    taps = np.ascontiguousarray(taps * np.float32(gain ** (taps.ndim / 2)), np.float32)
    return like(taps, f).to(f.device) if is_tensor(f) else taps

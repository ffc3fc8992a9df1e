"""ECG leads: the eight that are measured, the twelve that are read."""

from __future__ import annotations

import math

import numpy as np

from . import _kernels
from ._errors import InputError

LEADS_8 = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
LEADS_12 = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def derive_12(signal_uv) -> np.ndarray:
    """The twelve standard leads from eight.

    ``III = II - I``, ``aVR = -(I + II)/2``, ``aVL = I - II/2``, ``aVF = II - I/2``, each result's half cut toward zero
    (Einthoven and Goldberger; the equations of package deepfake-ecg).

    ``signal_uv``: whole microvolts ``[..., 8, time]`` of any integer type, leads in order I, II, V1..V6. Returns int16
    ``[..., 12, time]`` in the clinical order I, II, III, aVR, aVL, aVF, V1..V6. Raises InputError for another shape or
    type, or if a value does not fit int16.

    >>> derive_12(np.ones((8, 1), np.int16))[:6, 0].tolist()
    [1, 1, 0, -1, 0, 0]
    """
    samples = np.asarray(signal_uv)
    if samples.ndim < 2 or samples.shape[-2] != len(LEADS_8):
        raise InputError(f"derive_12: signal is {list(samples.shape)}, needs [..., 8, time]")
    if samples.dtype != np.int16:
        if samples.dtype.kind not in "iu":
            raise InputError(f"derive_12: signal is {samples.dtype}, needs whole microvolts")
        whole = samples.astype(np.int16)
        if not (whole == samples).all():
            raise InputError("derive_12: a value does not fit int16; these are no microvolts")
        samples = whole
    flat = np.ascontiguousarray(samples).reshape(math.prod(samples.shape[:-2]), *samples.shape[-2:])
    out = np.empty((len(flat), len(LEADS_12), flat.shape[2]), np.int16)
    if not _kernels.derive_12(flat, out):
        raise InputError("derive_12: a derived lead does not fit int16; leads I and II are too large to be microvolts")
    return out.reshape(*samples.shape[:-2], *out.shape[1:])

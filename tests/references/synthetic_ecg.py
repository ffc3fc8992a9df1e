"""ECGs whose beats and waves are known because they were put there: sine lobes for QRS, Gaussians for P and T."""

from __future__ import annotations

import numpy as np

_R = (0.6, 1.0, 0.5, 0.9, 1.2, 1.3, 1.1, 0.8)  # of leads I, II, V1 to V6
_S = (0.1, 0.2, 0.9, 1.1, 0.6, 0.4, 0.2, 0.1)
_T = (0.7, 1.0, 0.3, 1.1, 1.4, 1.2, 1.0, 0.8)
_P_SIGMA_MS, _T_SIGMA_MS = 18.0, 45.0


def synthetic_ecg(
    rr_ms, rate_hz=500.0, qrs_ms=90.0, pr_ms=160.0, qt_ms=390.0, p=0.12, t=0.25, noise_uv=0.0, wander_uv=0.0, seed=0
) -> tuple[np.ndarray, np.ndarray]:
    """int16 [8, 10 s] microvolts, and the begins of the QRS in ms, ``rr_ms`` apart.

    The tangent through the point of inflection of a Gaussian meets its base two standard deviations from the top, so
    P begins and T ends there: ``pr_ms`` before and ``qt_ms`` after the begin of the QRS.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(round(10 * rate_hz)) * 1000.0 / rate_hz
    begins = np.cumsum([300.0, *rr_ms])
    begins = begins[begins < times[-1]]
    signal = np.zeros((8, len(times)))
    for begin in begins:
        u = (times - begin) / qrs_ms
        signal += 1000 * np.outer(_R, np.sin(np.pi * np.clip(u / 0.55, 0, 1)))
        signal -= 1000 * np.outer(_S, np.sin(np.pi * np.clip((u - 0.55) / 0.45, 0, 1)))
        signal += 1000 * t * np.outer(_T, _gauss(times, begin + qt_ms - 2 * _T_SIGMA_MS, _T_SIGMA_MS))
        signal += 1000 * p * np.outer(_R, _gauss(times, begin - pr_ms + 2 * _P_SIGMA_MS, _P_SIGMA_MS))
    signal += wander_uv / 2 * np.sin(2 * np.pi * 0.25 * times / 1000 + rng.uniform(0, 6, (8, 1)))
    signal += noise_uv * rng.standard_normal(signal.shape)
    return np.trunc(signal).astype(np.int16), begins


def _gauss(times, center, sigma):
    return np.exp(-0.5 * ((times - center) / sigma) ** 2)

"""How far apart two sets of measurements are, as distributions; numpy alone."""

from __future__ import annotations

import numpy as np


def _merged(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every value in order, and at each the share of either set that is not above it."""
    a, b = np.sort(a), np.sort(b)
    at = np.concatenate([a, b])
    at.sort(kind="stable")
    shares = [np.searchsorted(values, at, side="right") / len(values) for values in (a, b)]
    return at, *shares


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of the two distribution functions, 0 to 1."""
    _, of_a, of_b = _merged(a, b)
    return float(np.abs(of_a - of_b).max())


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """The area between the two distribution functions, in the values' unit: how far values move on average."""
    at, of_a, of_b = _merged(a, b)
    return float((np.abs(of_a - of_b)[:-1] * np.diff(at)).sum())


def compare(made: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Of every measurement both distances, over the values that are numbers, and the shares that are not."""
    found = {}
    for name, values in made.items():
        a, b = values[np.isfinite(values)], reference[name][np.isfinite(reference[name])]
        row = {"missing": 1 - len(a) / len(values), "reference_missing": 1 - len(b) / len(reference[name])}
        if len(a) and len(b):
            row |= {"ks": kolmogorov_smirnov(a, b), "wasserstein": wasserstein(a, b), "sd": float(b.std())}
        found[name] = row
    return found

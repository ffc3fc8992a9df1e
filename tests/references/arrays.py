"""Random float32 arrays, nearness to a reference and equality to the bit, for the tests of operators."""

from __future__ import annotations

import numpy as np
from tolerances import OPS

from dsb_fast import _kernels

IMPLS = ["native", "torch"] if _kernels.native else ["torch"]


def random(seed: int, *shape: int) -> np.ndarray:
    """Normal values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def identical(got, expected) -> None:
    """Assert that types, shapes and bits are equal."""
    assert got.dtype == expected.dtype and got.shape == expected.shape, (got.dtype, got.shape, expected.shape)
    assert got.tobytes() == expected.tobytes()


def close(got, expected, tolerance: float = OPS, of=0.0) -> None:
    """Assert that shapes are equal and errors at most ``tolerance`` of the largest value, expected or in ``of``.

    ``of``: what an activation was given. Where it makes little of large numbers (gelu in its tail), their rounding is
    much of the little.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, (got.shape, expected.shape)
    if expected.size:
        error = np.abs(got.astype(np.float64) - expected).max()
        assert error <= tolerance * max(np.abs(expected).max(), np.abs(of).max(), 1e-30), error

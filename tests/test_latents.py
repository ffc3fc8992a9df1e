"""Paths between latents, against the seed package's numbers and against geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsb_fast
from dsb_fast import _latents, random

pytestmark = pytest.mark.variant_independent

MODELS = ["attn64", "fmap32", "plain32", "rgba_noconst32", "v190_attn32"]


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_packages_slerp(data, name):
    """Latents of the package's own interpolation, ratios 0 to 8; float64, stored as float32."""
    with np.load(data / "lucid/interpolation.npz") as golden:
        low, high, expected = (golden[f"{name}.{key}"] for key in ("low", "high", "latents"))
        ratios = golden[f"{name}.ratios"]
    found = np.array([_latents.seed_slerp(float(ratio), low, high) for ratio in ratios])
    assert np.abs(found - expected).max() <= 2e-7 * np.abs(expected).max()


@pytest.mark.parametrize("name", MODELS)
def test_between_two_points_ours_is_the_same(data, name):
    with np.load(data / "lucid/interpolation.npz") as golden:
        low, high = golden[f"{name}.low"].astype(float), golden[f"{name}.high"].astype(float)
    for ratio in (0.0, 0.25, 0.5, 1.0):
        ours = [_latents.slerp(a, b, ratio) for a, b in zip(low, high, strict=True)]
        assert np.abs(_latents.seed_slerp(ratio, low, high) - ours).max() <= 1e-12


def rotated(a: np.ndarray, b: np.ndarray, ratio: float) -> np.ndarray:
    """Unit vectors: a turned toward b by ratio of their angle, in the basis of their plane."""
    angle = math.acos(np.clip(a @ b, -1, 1))
    across = b - (a @ b) * a
    return math.cos(ratio * angle) * a + math.sin(ratio * angle) * across / np.linalg.norm(across)


@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_slerp_of_unit_vectors_is_a_rotation(seed, size, ratio):
    a, b = np.random.default_rng(seed).normal(size=(2, size))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    if abs(a @ b) < 0.999:
        assert np.abs(_latents.slerp(a, b, ratio) - rotated(a, b, ratio)).max() < 1e-12


@pytest.mark.parametrize(
    ("a", "b", "middle"),
    [
        ([2.0, 0, 0], [4.0, 0, 0], [3, 0, 0]),  # the same direction
        ([2.0, 0, 0], [2.0, 0, 0], [2, 0, 0]),
        ([0.0, 0, 0], [4.0, 2, 0], [2, 1, 0]),  # zero vectors
        ([0.0, 0, 0], [0.0, 0, 0], [0, 0, 0]),
        ([2.0, 0, 0], [-4.0, 0, 0], [0, 3, 0]),  # opposite
        ([0.0, -1, 0], [0.0, 1, 0], [1, 0, 0]),
        ([1e-200, 0, 0], [-1e-200, 0, 0], [0, 0, 0]),
        ([3.0], [-3.0], [3.0]),
    ],
)
def test_slerp_where_the_formula_has_no_value(a, b, middle):
    a, b = np.array(a), np.array(b)
    assert np.allclose(_latents.slerp(a, b, 0.5), middle, atol=1e-15)
    for ratio in np.linspace(0, 1, 11):
        assert np.isfinite(_latents.slerp(a, b, float(ratio))).all()
    assert np.allclose(_latents.slerp(a, b, 0.0), a, atol=1e-15)


@pytest.mark.parametrize("tilt", [1e-3, 1e-6, 2e-7, 5e-8, 1e-9, 1e-15])
def test_slerp_is_continuous_near_parallel_and_keeps_its_length_near_opposite(tilt):
    a = np.array([1.0, 0.0, 0.0])
    near = np.array([1.0, tilt, 0.0])
    assert np.abs(_latents.slerp(a, near, 0.5) - (a + near) / 2).max() < 2e-7
    opposite = _latents.slerp(a, np.array([-1.0, tilt, 0.0]), 0.5)
    assert np.abs(opposite - [0, 1, 0]).max() < 1e-3 and abs(np.linalg.norm(opposite) - 1) < 1e-6


@given(st.integers(2, 5), st.integers(1, 7), st.booleans(), st.sampled_from(_latents.METHODS))
@settings(max_examples=40, deadline=None)
def test_path_goes_through_its_points_at_even_steps(count, steps, loop, method):
    points = random.normal(3, 0, count, 16, 2)
    path = _latents.path(points, steps, method, loop)
    assert path.dtype == np.float32 and len(path) == (count * steps if loop else (count - 1) * steps + 1)
    assert (path[::steps] == points).all()
    around = np.concatenate([path, path[:1]]) if loop else path
    for k in range(len(around) - 1):
        a, b = points[k // steps].astype(float), points[(k // steps + 1) % count].astype(float)
        t = k % steps / steps
        expected = (1 - t) * a + t * b if method == "linear" else _latents.seed_slerp(t, [a], [b])[0]
        assert np.abs(path[k] - expected).max() < 1e-6


def test_a_path_does_not_depend_on_what_comes_after():
    points = random.normal(3, 0, 4, 16, 2)
    whole = _latents.path(points, 5)
    assert (_latents.path(points[:3], 5) == whole[:11]).all()


@pytest.mark.parametrize(
    ("points", "steps", "method", "word"),
    [
        (np.zeros((1, 4)), 3, "slerp", "2 or more"), (np.zeros(4), 3, "slerp", "2 or more"),
        (np.zeros((2, 0)), 3, "slerp", "2 or more"), (np.array([["a"], ["b"]]), 3, "slerp", "numbers"),
        (np.full((2, 4), np.nan), 3, "slerp", "finite"), (np.zeros((2, 4)), 0, "slerp", "steps"),
        (np.zeros((2, 4)), 2.5, "slerp", "steps"), (np.zeros((2, 4)), 10**9, "slerp", "too many"),
        (np.zeros((2, 4)), 3, "cubic", "slerp, linear"),
    ],
)  # fmt: skip
def test_wrong_paths(points, steps, method, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        _latents.path(points, steps, method)

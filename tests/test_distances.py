"""Distances between distributions, against their definitions."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PATH = Path(__file__).resolve().parent.parent / "benchmarks/distances.py"
spec = importlib.util.spec_from_file_location("distances", PATH)
distances = importlib.util.module_from_spec(spec)
spec.loader.exec_module(distances)

_values = st.lists(st.integers(-20, 20), min_size=1, max_size=30).map(np.float64)


@settings(max_examples=60, deadline=None)
@given(_values, _values)
def test_kolmogorov_smirnov_is_the_largest_gap_of_the_distribution_functions(a, b):
    at = np.concatenate([a, b])
    gaps = [abs(np.mean(a <= x) - np.mean(b <= x)) for x in at]
    assert distances.kolmogorov_smirnov(a, b) == pytest.approx(max(gaps))


@settings(max_examples=60, deadline=None)
@given(_values, st.integers(-5, 5))
def test_wasserstein_of_a_shift_is_the_shift(a, by):
    assert distances.wasserstein(a + by, a) == pytest.approx(abs(by))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20).flatmap(lambda n: st.tuples(*[st.lists(st.integers(-9, 9), min_size=n, max_size=n)] * 2)))
def test_wasserstein_of_equal_counts_pairs_the_values_in_order(pair):
    a, b = map(np.float64, pair)
    assert distances.wasserstein(a, b) == pytest.approx(np.abs(np.sort(a) - np.sort(b)).mean())


def test_what_is_not_measurable_is_counted_and_left_out():
    made = {"rate": np.array([60.0, np.nan, 62.0, np.nan])}
    row = distances.compare(made, {"rate": np.array([60.0, 62.0])})["rate"]
    assert row["missing"] == 0.5 and row["reference_missing"] == 0 and row["ks"] == row["wasserstein"] == 0
    assert "ks" not in distances.compare({"rate": np.full(3, np.nan)}, made)["rate"]

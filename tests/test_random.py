"""Philox: published answers, the contract's arithmetic, and independence of how a range is asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import philox

import dsb_fast
from dsb_fast import _kernels, random

VARIANTS = [name for name, available in _kernels.variants() if available]

seeds = st.integers(0, 2**64 - 1)
sizes = st.sampled_from([0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 65535, 65537, 140000])


def test_reference_has_the_published_answers():
    ones = 0xFFFFFFFF
    assert philox.block((0, 0), (0, 0, 0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox.block((ones, ones), (ones,) * 4) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)


def test_published_answer_in_the_package():
    words = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
    expected = ((words >> 8) * 2.0**-24).astype(np.float32)
    assert (random.uniform(0, 0, 1, 4)[0] == expected).all()


@given(seeds, st.integers(0, 2**64 - 4), st.integers(0, 2**32 - 1), st.integers(1, 77))
@settings(max_examples=60, deadline=None)
def test_uniform_is_the_contracts_arithmetic(seed, index, stream, count):
    got = random.uniform(seed, index, 2, count, stream, -1.0, 1.0)
    assert (got[0] == philox.uniform(seed, index, stream, count, -1.0, 1.0)).all()
    assert (got[1] == philox.uniform(seed, index + 1, stream, count, -1.0, 1.0)).all()


@given(seeds, st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_uniform_range_is_rounded_step_by_step(seed, low, width):
    assert (
        random.uniform(seed, 5, 1, 64, 0, low, low + width)[0] == philox.uniform(seed, 5, 0, 64, low, low + width)
    ).all()


@pytest.mark.parametrize("high", [1e-44, 3e-39, 2.0**-126, 2.0**-103, 2.0**-102, 3e38])
def test_uniform_range_of_extreme_width(high):
    got = random.uniform(3, 5, 1, 999, 0, 0.0, high)[0]
    assert (got == philox.uniform(3, 5, 0, 999, 0.0, high)).all()


@given(seeds, st.integers(0, 2**64 - 2), st.integers(1, 4099))
@settings(max_examples=40, deadline=None)
def test_normal_agrees_with_libm(seed, index, count):
    got, expected = random.normal(seed, index, 1, count)[0], philox.normal(seed, index, 0, count)
    scale = np.spacing(np.maximum(np.abs(expected), np.float32(1e-6)))
    assert (np.abs(got - expected) <= scale).all()
    assert (got == expected).mean() > 0.999


def test_normal_is_normal():
    values = random.normal(3, 0, 4, 500_000).astype(np.float64)
    assert abs(values.mean()) < 3e-3
    assert abs(values.std() - 1) < 3e-3
    assert abs((values**4).mean() - 3) < 0.03
    assert np.isfinite(values).all()


@pytest.mark.parametrize("draw", [random.uniform, random.normal])
@given(seeds, st.integers(0, 2**40), sizes, st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_threads_and_ranges_do_not_change_bits(draw, seed, start, size, threads):
    whole = draw(seed, start, 3, size)
    assert whole.shape == (3, size) and whole.dtype == np.float32
    assert (draw(seed, start, 3, size, threads=threads) == whole).all()
    assert (draw(seed, start + 1, 2, size) == whole[1:]).all()
    if size >= 8:
        assert (draw(seed, start, 3, size - 3) == whole[:, :-3]).all()


@pytest.mark.parametrize("draw", [random.uniform, random.normal])
def test_large_tensors_are_the_same_on_many_threads(draw):
    whole = draw(7, 3, 5, 300_001, threads=1)
    for threads in (0, 2, 3, 5):
        assert (draw(7, 3, 5, 300_001, threads=threads) == whole).all()


_DIGEST = """
import hashlib, dsb_fast
from dsb_fast import _kernels, random
digest = hashlib.sha256()
for size in (0, 1, 3, 4, 5, 16, 17, 33, 64, 1001, 40000, 70001):
    digest.update(random.uniform(2**63 + 9, 2**33 - 1, 3, size, 2, -1.0, 1.0))
    digest.update(random.normal(2**63 + 9, 2**33 - 1, 3, size, 2))
print(_kernels.active_variant(), digest.hexdigest())
"""


def _digest(cwd, **env) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _DIGEST], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.variant_independent  # goes through the variants by itself
def test_every_variant_and_the_fallback_give_the_same_bits(tmp_path):
    lacking = [name for name, available in _kernels.variants() if not available]
    if lacking:
        print("not run, this CPU lacks them:", ", ".join(lacking))
    results = {name: _digest(tmp_path, DSB_FORCE_VARIANT=name) for name in VARIANTS}
    assert all(results[name][0] == name for name in VARIANTS), "a variant other than the one asked for ran"
    results["numba"] = _digest(tmp_path, DSB_NATIVE="0", DSB_FORCE_VARIANT="")
    assert results["numba"][0] == "numba"
    assert len({digest for _, digest in results.values()}) == 1, results


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((-1, 0, 1, 4), "seed"),
        ((2**64, 0, 1, 4), "seed"),
        ((0.5, 0, 1, 4), "seed"),
        ((0, -1, 1, 4), "start"),
        ((0, 0, -1, 4), "count"),
        ((0, 2**64 - 1, 2, 4), "count"),
        ((0, 0, 1, -4), "shape"),
        ((0, 0, 1, 2**35), "shape"),
        ((0, 0, 1, 4, 2**32), "stream"),
    ],
)
def test_numbers_out_of_range_are_named(arguments, word):
    with pytest.raises(dsb_fast.InputError, match=word):
        random.uniform(*arguments)
    with pytest.raises(dsb_fast.InputError, match=word):
        random.normal(*arguments)


def test_empty_range_and_last_sample():
    assert random.uniform(0, 5, 0, (8, 5)).shape == (0, 8, 5)
    assert random.uniform(0, 2**64 - 1, 1, (2, 3)).shape == (1, 2, 3)
    with pytest.raises(dsb_fast.InputError, match="low"):
        random.uniform(0, 0, 1, 4, low=1.0, high=1.0)

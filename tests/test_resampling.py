"""Filters of four taps along both axes, which have a kernel of their own: values, and bits of one axis at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references import stylegan_ops as exact
from references.arrays import close, identical, random
from tolerances import OPS

from dsb_fast import _kernels, ops

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")

FACTORS = st.sampled_from([(2, 1), (1, 2), (1, 1)])
SIZES = st.sampled_from([0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 18, 19, 31, 33, 40, 67])
PADDING = st.tuples(*[st.integers(-4, 5)] * 4)


def _apart(x, taps, up, down, padding, flip, gain, threads=1):
    """Along x, then along y, by the kernel for any filter."""
    for step in (
        (taps[None, :], [up, 1], [down, 1], [*padding[:2], 0, 0], 1.0),
        (taps[:, None], [1, up], [1, down], [0, 0, *padding[2:]], gain),
    ):
        x = _kernels.native.upfirdn2d(x, [step], flip, threads)
    return x


@given(
    st.integers(0, 3), st.integers(1, 3), SIZES.filter(bool), SIZES, FACTORS, PADDING, st.booleans(),
    st.floats(0.25, 4), st.booleans(),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_both_axes_at_once_have_the_bits_of_one_after_the_other(n, c, h, w, factors, padding, flip, gain, strided):
    up, down = factors
    assume(w * up + padding[0] + padding[1] >= 4 and h * up + padding[2] + padding[3] >= 4)
    assume(min(padding[:2]) > -max(w * up, 1) and min(padding[2:]) > -max(h * up, 1))
    x, taps, gain = random(0, n, c, h, w), random(1, 4), float(np.float32(gain))
    given_x = np.asfortranarray(x) if strided else x
    got = ops.upfirdn2d(given_x, taps, up, down, list(padding), flip, gain, impl="native")
    identical(got, _apart(x, taps, up, down, padding, flip, gain))
    expected = exact.upfirdn2d(x, taps, (up, up), (down, down), padding, flip, gain)
    close(got, expected, OPS)


LARGE = [(2, 1, (1, 5, 611, 607)), (1, 2, (1, 7, 2048, 1999)), (1, 1, (2, 9, 640, 624))]


@pytest.mark.parametrize(("up", "down"), [(2, 1), (1, 2), (1, 1)])
def test_a_full_filter_that_is_a_product_is_applied_along_the_axes(up, down):
    """What setup_filter makes of four taps, as NVIDIA's does."""
    x, taps = random(0, 2, 3, 21, 18), np.float32([1, 3, 3, 1])
    full = ops.setup_filter(taps)
    assert full.shape == (4, 4)
    got = ops.upfirdn2d(x, full, up, down, 2, impl="native")
    identical(got, ops.upfirdn2d(x, taps / 8, up, down, 2, impl="native"))
    full[1, 2] = np.nextafter(full[1, 2], np.float32(1))  # none any more
    close(ops.upfirdn2d(x, full, up, down, 2, impl="native"), got, OPS)


@pytest.mark.parametrize(("up", "down", "shape"), LARGE)
def test_results_beyond_the_cache(up, down, shape):
    """They are written around it: whole lines, collected ones, and what is left of either."""
    x, taps = random(0, *shape), np.float32([1, 3, 3, 1])
    steps = [
        (taps[None, :], [up, 1], [down, 1], [2, 1, 0, 0], 1.0),
        (taps[:, None], [1, up], [1, down], [0, 0, 2, 1], 0.25),
    ]
    expected = _apart(x, taps, up, down, (2, 1, 2, 1), False, 0.25)
    assert expected.nbytes > 24 << 20
    for threads in (1, 2, 5):
        identical(_kernels.native.upfirdn2d(x, steps, False, threads), expected)


def test_numbers_that_are_none_stay_within_the_filters_reach():
    x, taps = random(0, 1, 1, 40, 40), np.float32([1, 3, 3, 1])
    x[0, 0, 20, 20] = np.nan
    bad = np.isnan(ops.filter2d(x, taps, impl="native"))[0, 0]
    assert bad[19:23, 19:23].all() and bad.sum() == 16

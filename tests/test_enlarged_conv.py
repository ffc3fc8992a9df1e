"""A convolution of an image enlarged on the way is one of the enlarged image, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dsb_fast import _kernels

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")


def both(shape, outputs, padding, taps, *, threads=1, bfloat16=False, seed=0, styles=True):
    draw = np.random.default_rng(seed)
    x, weight = (draw.standard_normal(s).astype(np.float32) for s in (shape, (outputs, shape[1], taps, taps)))
    factors = draw.standard_normal(shape[:2]).astype(np.float32) if styles else np.ones(shape[:2], np.float32)
    larger = _kernels.native.upsample_bilinear2d(x, threads)
    how = (factors, None, 1, 1, padding, [], True, True, threads)
    return (
        _kernels.native.modulated_conv2d(of, weight, *how, bfloat16_products=bfloat16, enlarged=of is x)
        for of in (x, larger)
    )


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 35), st.integers(1, 21), st.integers(1, 37)),
    st.integers(1, 18),
    st.lists(st.integers(-3, 3), min_size=4, max_size=4),
    st.booleans(),
    st.integers(1, 3),
)
@example((1, 16, 32, 32), 4, [1] * 4, False, 2)
@example((2, 5, 1, 1), 3, [1] * 4, False, 1)
@example((1, 3, 2, 70), 2, [-3, 3, 0, 0], False, 1)
def test_bits(shape, outputs, padding, bfloat16, threads):
    left, right, top, bottom = padding
    if 2 * shape[3] + left + right < 3 or 2 * shape[2] + top + bottom < 3:
        return
    made, expected = both(shape, outputs, padding, 3, threads=threads, bfloat16=bfloat16, seed=sum(shape))
    assert np.array_equal(made.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("taps", [1, 5])
def test_other_kernels(taps):
    made, expected = both((2, 3, 6, 7), 4, [taps // 2] * 4, taps)
    assert np.array_equal(made, expected)


def test_many_channels_share_their_values():
    made, expected = both((2, 130, 4, 4), 520, [1] * 4, 3, threads=2)
    assert np.array_equal(made, expected)

"""Up-sampling layers in phases: against float64, and their bits over batches, threads and bands of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import stylegan_ops as exact
from references.arrays import identical, random
from tolerances import IMAGE_CONV, IMAGE_CONV_L2

from dsb_fast import _kernels, ops

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")

SIZES = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 23])
CHANNELS = st.sampled_from([1, 2, 5, 15, 16, 17, 33, 40])
UP = {"up": 2, "padding": 1, "impl": "native"}


@given(st.integers(0, 3), CHANNELS, CHANNELS, SIZES, SIZES, st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_against_float64(n, i, o, h, w, flip_weight, usual):
    x, weight, styles = random(0, n, i, h, w), random(1, o, i, 3, 3), random(2, n, i)
    taps = ops.setup_filter([1, 3, 3, 1]) if usual else random(3, 4)
    how = {"resample_filter": taps, "demodulate": False, "flip_weight": flip_weight}
    got = ops.modulated_conv2d(x, weight, styles, **how, **UP)
    assert got.shape == (n, o, 2 * h, 2 * w)
    if n == 0:
        return
    expected = exact.modulated_conv2d(x, weight, styles, None, 2, 1, [1] * 4, taps, False, flip_weight)
    largest = np.abs(weight).sum((1, 2, 3)).max() * np.abs(x * styles[:, :, None, None]).max()
    largest *= (2 * np.abs(taps).sum()) ** 2
    assert np.abs(got - expected).max() <= IMAGE_CONV["phases"] * largest
    identical(got[-1:], ops.modulated_conv2d(x[-1:], weight, styles[-1:], **how, **UP))


# Panels; rows in bands; weights that are shared; what NVIDIA's networks begin with.
LAYERS = [(40, 24, 17), (8, 80, 66), (300, 290, 6), (512, 512, 4)]


@pytest.mark.parametrize(("wide", "out", "size"), LAYERS)
def test_layers_of_the_image_networks(wide, out, size):
    n, taps = 3, np.float32([1, 3, 3, 1]) / 8
    x, weight, styles = random(0, n, wide, size, size), random(1, out, wide, 3, 3), 1 + 0.5 * random(2, n, wide)
    expected = exact.modulated_conv2d(x[:1], weight, styles[:1], None, 2, 1, [1] * 4, taps, True, False)
    rest = (None, 2, 1, [1] * 4, [taps[None, :], taps[:, None]], True, False)
    results = [_kernels.native.modulated_conv2d(x, weight, styles, *rest, threads) for threads in (1, 2, 3, 9)]
    error = np.linalg.norm(results[0][:1] - expected) / np.linalg.norm(expected)
    assert error <= IMAGE_CONV_L2["phases"]
    for result in results[1:]:
        identical(result, results[0])
    for part in (slice(0, 1), slice(1, 3)):
        for threads in (1, 2):
            identical(_kernels.native.modulated_conv2d(x[part], weight, styles[part], *rest, threads), results[0][part])


@given(CHANNELS, SIZES, st.booleans(), st.booleans(), st.sampled_from(["lrelu", "linear", "tanh"]))
@settings(max_examples=60, deadline=None)
def test_what_follows_the_filter_has_the_bits_of_separate_calls(out, size, with_noise, with_residual, act):
    x, weight, styles = random(0, 2, 5, size, size), random(1, out, 5, 3, 3), random(2, 2, 5)
    noise = random(3, 2, 1, 2 * size, 2 * size) if with_noise else None
    residual = random(4, 2, out, 2 * size, 2 * size) if with_residual else None
    how = {"resample_filter": ops.setup_filter([1, 3, 3, 1]), **UP}
    tail = {"act": act, "alpha": 0.3, "gain": 1.25, "clamp": 1.5}
    bias, noise_gain = random(5, out), random(6, out)
    got = ops.modulated_conv2d(
        x, weight, styles, noise, noise_gain=noise_gain, bias=bias, residual=residual, **tail, **how
    )
    plane = None if noise is None else noise_gain[0] * noise
    first = ops.modulated_conv2d(x, weight[:1], styles, plane, **how)
    first = ops.bias_act(first, bias[:1], **tail, impl="native")
    identical(got[:, :1], first if residual is None else first + residual[:, :1])


def test_an_image_larger_than_the_rows_in_memory_is_the_same_in_parts():
    """A result depends on few samples: those of a part are the whole image's."""
    taps = ops.setup_filter([1, 3, 3, 1])
    x, weight, styles = random(0, 1, 4, 200, 40), random(1, 48, 4, 3, 3), random(2, 1, 4)
    whole = ops.modulated_conv2d(x, weight, styles, resample_filter=taps, **UP)
    part = ops.modulated_conv2d(x[:, :, 90:150], weight, styles, resample_filter=taps, **UP)  # 90: a tile's first
    identical(part[:, :, 12:-12], whole[:, :, 192:288])


def test_numbers_that_are_none_stay_in_their_tiles():
    taps = ops.setup_filter([1, 3, 3, 1])
    x, weight, styles = random(0, 1, 3, 16, 16), random(1, 2, 3, 3, 3), random(2, 1, 3)
    good = ops.modulated_conv2d(x, weight, styles, resample_filter=taps, **UP)
    x[0, 1, 13, 13] = np.inf
    bad = ops.modulated_conv2d(x, weight, styles, resample_filter=taps, **UP)
    assert not np.isfinite(bad[0, :, 26:28, 26:28]).any()
    identical(bad[:, :, :18, :18], good[:, :, :18, :18])

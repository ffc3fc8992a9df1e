"""The routes of image convolutions (direct, Winograd) against float64, and their bits over batches and threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references.arrays import identical, random
from tolerances import IMAGE_CONV, IMAGE_CONV_L2

from dsb_fast import _kernels, ops

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")

sizes = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 33])
channels = st.sampled_from([1, 2, 5, 15, 16, 17, 33, 40])


def _sums(x, weight, padding, flip_weight) -> np.ndarray:
    """float64, tap by tap."""
    left, right, top, bottom = padding
    big = np.pad(np.float64(x), ((0, 0), (0, 0), (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))))
    big = big[:, :, max(-top, 0) : big.shape[2] - max(-bottom, 0), max(-left, 0) : big.shape[3] - max(-right, 0)]
    weight = np.float64(weight) if flip_weight else np.float64(weight)[:, :, ::-1, ::-1]
    rows, columns = big.shape[2] - weight.shape[2] + 1, big.shape[3] - weight.shape[3] + 1
    out = np.zeros((len(x), len(weight), rows, columns))
    for y in range(weight.shape[2]):
        for k in range(weight.shape[3]):
            out += np.einsum("nchw,oc->nohw", big[:, :, y : y + rows, k : k + columns], weight[:, :, y, k])
    return out


def _algorithm(weight, height, width) -> str:
    """What docs/image-kernels.md says of this shape."""
    if weight.shape[2:] != (3, 3):
        return "direct"
    return "winograd4" if height * width >= 64 else "winograd2"


@given(
    st.integers(1, 3), channels, channels, sizes, sizes, st.sampled_from([(1, 1), (3, 3), (2, 3), (5, 4)]),
    st.tuples(*[st.integers(-1, 2)] * 4), st.booleans(),
)  # fmt: skip
@settings(max_examples=250, deadline=None)
def test_against_float64(n, i, o, h, w, kernel, padding, flip_weight):
    left, right, top, bottom = padding
    assume(h + top + bottom >= kernel[0] and w + left + right >= kernel[1])
    x, weight, styles = random(0, n, i, h, w), random(1, o, i, *kernel), random(2, n, i)
    how = {"padding": list(padding), "demodulate": False, "flip_weight": flip_weight}
    expected = _sums(np.float64(x) * styles[:, :, None, None], weight, padding, flip_weight)
    got = ops.modulated_conv2d(x, weight, styles, impl="native", **how)
    assert got.shape == expected.shape
    largest = np.abs(weight).sum((1, 2, 3)).max() * np.abs(x * styles[:, :, None, None]).max()
    algorithm = _algorithm(weight, *expected.shape[2:])
    assert np.abs(got - expected).max() <= IMAGE_CONV[algorithm] * largest, algorithm
    alone = ops.modulated_conv2d(x[-1:], weight, styles[-1:], impl="native", **how)
    identical(got[-1:], alone)


_LAYERS = [(256, 96, 4), (256, 96, 7), (256, 80, 8), (128, 64, 16), (48, 32, 40)]


@pytest.mark.parametrize(("wide", "out", "size"), _LAYERS)
def test_layers_of_the_image_networks(wide, out, size):
    """Both ways to share the work: weights too large for the caches, and many tiles."""
    x, weight, styles = random(0, 4, wide, size, size), random(1, out, wide, 3, 3), 1 + 0.5 * random(2, 4, wide)
    expected = _sums(np.float64(x) * styles[:, :, None, None], weight, [1] * 4, True)
    norm = np.sqrt(np.einsum("ocyx,nc->no", np.float64(weight) ** 2, np.float64(styles) ** 2) + 1e-8)
    expected /= norm[:, :, None, None]
    rest = (None, 1, 1, [1] * 4, [], True, True)
    results = [_kernels.native.modulated_conv2d(x, weight, styles, *rest, threads) for threads in (1, 2, 3, 9)]
    error = np.linalg.norm(results[0] - expected) / np.linalg.norm(expected)
    assert error <= IMAGE_CONV_L2[_algorithm(weight, size, size)]
    for result in results[1:]:
        identical(result, results[0])
    for part in (slice(0, 1), slice(1, 4)):
        for threads in (1, 2):
            identical(_kernels.native.modulated_conv2d(x[part], weight, styles[part], *rest, threads), results[0][part])


@given(channels, sizes, st.sampled_from([1, 3]), st.booleans(), st.booleans(), st.sampled_from(["lrelu", "tanh"]))
@settings(max_examples=60, deadline=None)
def test_what_follows_the_sums_has_the_bits_of_separate_calls(out, size, kernel, with_noise, with_residual, act):
    x, weight, styles = random(0, 2, 5, size, size), random(1, out, 5, kernel, kernel), random(2, 2, 5)
    noise = random(3, size, size) if with_noise else None
    residual = random(4, 2, out, size, size) if with_residual else None
    how = {"padding": kernel // 2, "impl": "native"}
    tail = {"act": act, "alpha": 0.3, "gain": 1.25, "clamp": 1.5}
    bias, noise_gain = random(5, out), random(6, out)
    got = ops.modulated_conv2d(
        x, weight, styles, noise, noise_gain=noise_gain, bias=bias, residual=residual, **tail, **how
    )
    plane = None if noise is None else noise_gain[0] * noise
    first = ops.modulated_conv2d(x, weight[:1], styles, plane, **how)
    first = ops.bias_act(first, bias[:1], **tail, impl="native")
    identical(got[:, :1], first if residual is None else first + residual[:, :1])


def test_values_that_are_not_numbers_stay_in_their_tiles():
    x, weight, styles = random(0, 1, 3, 16, 16), random(1, 2, 3, 3, 3), random(2, 1, 3)
    good = ops.modulated_conv2d(x, weight, styles, padding=1, impl="native")
    x[0, 1, 13, 13] = np.inf
    bad = ops.modulated_conv2d(x, weight, styles, padding=1, impl="native")
    assert not np.isfinite(bad[0, :, 12:15, 12:15]).any()
    identical(bad[:, :, :8, :8], good[:, :, :8, :8])

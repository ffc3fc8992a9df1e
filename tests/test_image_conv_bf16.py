"""Winograd routes with bfloat16 products: against float64, bits over batches, threads and variants, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import variants
from references.arrays import identical, random
from tolerances import IMAGE_CONV, IMAGE_CONV_BF16, IMAGE_CONV_BF16_L2

from dsb_fast import InputError, _kernels, ops

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")

sizes = st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 33])
channels = st.sampled_from([1, 2, 5, 15, 16, 17, 33, 40])


def _sums(x, weight, flip_weight=True) -> np.ndarray:
    """float64, tap by tap, with a border of zeros."""
    big = np.pad(np.float64(x), ((0, 0), (0, 0), (1, 1), (1, 1)))
    weight = np.float64(weight) if flip_weight else np.float64(weight)[:, :, ::-1, ::-1]
    rows, columns = x.shape[2:]
    taps = [(y, k) for y in range(3) for k in range(3)]
    return sum(
        np.einsum("nchw,oc->nohw", big[:, :, y : y + rows, k : k + columns], weight[:, :, y, k]) for y, k in taps
    )


def _algorithm(height, width) -> str:
    """What docs/image-kernels.md says of this shape."""
    return "winograd4" if height * width >= 256 else "winograd2"


@given(st.integers(1, 3), channels, channels, sizes, sizes, st.booleans())
@settings(max_examples=150, deadline=None)
def test_against_float64(n, i, o, h, w, flip_weight):
    x, weight, styles = random(0, n, i, h, w), random(1, o, i, 3, 3), random(2, n, i)
    how = {"padding": 1, "demodulate": False, "flip_weight": flip_weight, "products": "bfloat16"}
    expected = _sums(np.float64(x) * styles[:, :, None, None], weight, flip_weight)
    got = ops.modulated_conv2d(x, weight, styles, **how)
    largest = np.abs(weight).sum((1, 2, 3)).max() * np.abs(x * styles[:, :, None, None]).max()
    assert got.dtype == np.float32 and got.shape == expected.shape
    assert np.abs(got - expected).max() <= IMAGE_CONV_BF16[_algorithm(h, w)] * largest
    identical(got[-1:], ops.modulated_conv2d(x[-1:], weight, styles[-1:], **how))


@pytest.mark.parametrize(
    ("wide", "out", "size"), [(256, 96, 4), (255, 80, 8), (512, 40, 12), (129, 64, 16), (48, 32, 40)]
)
def test_layers_of_the_image_networks(wide, out, size):
    """Both ways to share the work, an odd number of channels, and bits over threads and parts of the batch."""
    x, weight, styles = random(0, 4, wide, size, size), random(1, out, wide, 3, 3), 1 + 0.5 * random(2, 4, wide)
    expected = _sums(np.float64(x) * styles[:, :, None, None], weight)
    norm = np.sqrt(np.einsum("ocyx,nc->no", np.float64(weight) ** 2, np.float64(styles) ** 2) + 1e-8)
    expected /= norm[:, :, None, None]

    def run(part, threads):
        rest = (None, 1, 1, [1] * 4, [], True, True, threads)
        return _kernels.native.modulated_conv2d(x[part], weight, styles[part], *rest, bfloat16_products=True)

    everything = run(slice(None), 1)
    error = np.linalg.norm(everything - expected) / np.linalg.norm(expected)
    print(f"{wide} to {out} at {size}: {error:.1e}")
    assert 1e-4 < error <= IMAGE_CONV_BF16_L2[_algorithm(size, size)]
    for threads in (2, 3, 9):
        identical(run(slice(None), threads), everything)
    for part in (slice(0, 1), slice(1, 4)):
        identical(run(part, 2), everything[part])


@pytest.mark.parametrize("size", [8, 20])
def test_numbers_that_need_no_rounding_are_exact(size):
    """Small whole numbers at F(2x2); at F(4x4) the weights at the points are thirds and more."""
    x, weight = np.round(random(0, 2, 17, size, size)), np.round(random(1, 5, 17, 3, 3)) * 4
    got = ops.modulated_conv2d(
        x, weight, np.ones((2, 17), np.float32), padding=1, demodulate=False, products="bfloat16"
    )
    expected, largest = _sums(x, weight), np.abs(weight).sum((1, 2, 3)).max() * np.abs(x).max()
    allowed = IMAGE_CONV["winograd2"] if size == 8 else IMAGE_CONV_BF16["winograd4"]
    assert np.abs(got - expected).max() <= allowed * largest


def test_other_kernels_stay_float32():
    x, weight, styles = random(0, 2, 9, 6, 6), random(1, 3, 9, 1, 1), random(2, 2, 9)
    identical(
        ops.modulated_conv2d(x, weight, styles, products="bfloat16"),
        ops.modulated_conv2d(x, weight, styles, impl="native"),
    )


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf])
def test_values_that_are_not_numbers_stay_in_their_tiles(bad):
    x, weight, styles = random(0, 1, 3, 16, 16), random(1, 2, 3, 3, 3), random(2, 1, 3)
    good = ops.modulated_conv2d(x, weight, styles, padding=1, products="bfloat16")
    x[0, 1, 13, 13] = bad
    made = ops.modulated_conv2d(x, weight, styles, padding=1, products="bfloat16")
    assert not np.isfinite(made[0, :, 12:15, 12:15]).any()
    identical(made[:, :, :8, :8], good[:, :, :8, :8])


def test_what_does_not_fit_is_refused_in_one_line():
    x, weight, styles = random(0, 1, 3, 8, 8), random(1, 2, 3, 3, 3), random(2, 1, 3)
    for how, words in (({"products": "int8"}, "int8"), ({"products": "bfloat16", "impl": "torch"}, "native")):
        with pytest.raises(InputError, match=words) as caught:
            ops.modulated_conv2d(x, weight, styles, **how)
        assert "\n" not in str(caught.value)


_PROGRAM = """
import hashlib
import numpy as np
from dsb_fast import _kernels
draw, digest = np.random.default_rng(3), hashlib.sha256()
for i, o, h, w in ((1, 1, 1, 1), (5, 3, 4, 7), (17, 33, 9, 8), (16, 40, 16, 17), (31, 8, 33, 20)):
    x, weight, styles = (draw.standard_normal(s).astype(np.float32) for s in ((2, i, h, w), (o, i, 3, 3), (2, i)))
    y = _kernels.native.modulated_conv2d(
        x, weight, styles, None, 1, 1, [1] * 4, [], True, True, 2, bfloat16_products=True
    )
    digest.update(y)
print(_kernels.active_variant(), digest.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_variants_with_fma_have_the_same_bits(tmp_path):
    """Products of two bfloat16 are exact in float32, so they all make the same sums."""
    made = {name: digest for name, (digest,) in variants.each(_PROGRAM, tmp_path) if name != "scalar"}
    assert len(set(made.values())) <= 1, made

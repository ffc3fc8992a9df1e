"""attention and feed_forward with bfloat16 products: against float64, bits over batch, threads, variants and hosts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import layers as exact
from references import ort_graphs, variants
from references.arrays import identical, random
from tolerances import ATTENTION_BF16, ATTENTION_BF16_L2, FEED_FORWARD_BF16

from dsb_fast import InputError, _kernels, ops
from dsb_fast._library import has_library

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")
needs_library = pytest.mark.skipif(
    not has_library(), reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort)"
)
samples = st.integers(0, 3)
channels = st.sampled_from([1, 2, 5, 7, 16, 17, 33])
widths = st.sampled_from([1, 3, 15, 16, 17, 33])  # of a head
sizes = st.sampled_from([1, 2, 3, 7, 8, 16, 17, 33])
acts = st.sampled_from(["linear", "gelu"])
BF16 = {"products": "bfloat16"}


def _weights(heads: int, channels: int, features: int, values: int, out: int) -> list[np.ndarray]:
    shapes = [(heads * features, channels)] * 2 + [(heads * values, channels), (out, heads * values)]
    return [random(10 + k, *shape) / np.float32(shape[1] ** 0.5) for k, shape in enumerate(shapes)]


@given(samples, channels, st.integers(1, 9), widths, widths, channels, sizes, sizes, acts, st.booleans())
@settings(max_examples=100, deadline=None)
def test_attention_against_float64(n, c, heads, d, e, o, h, w, act, plain):
    x, source, weights = random(0, n, c, h, w), 3 + random(1, n, c, h, w), _weights(heads, c, d, e, o)
    biases = [None] * 3 if plain else [random(2, heads * d), random(3, heads * e), random(4, o)]
    residual = None if plain else random(5, n, o, h, w)
    source = x if plain else source
    expected = exact.attention(x, source, weights, biases, heads, (0.7, 0.35, 0.25), act, -0.7)
    how = dict(zip(("q_bias", "v_bias", "out_bias"), biases, strict=True)) | {"residual": residual, "act": act}
    scales = {"q_scale": 0.7, "k_scale": 0.35, "out_scale": 0.25, "gain": -0.7}
    got = ops.attention(x, *weights, heads, source=source, **scales, **how, **BF16)
    assert got.dtype == np.float32 and got.shape == expected.shape
    if not n:
        return
    largest = np.abs(weights[2]).sum(1).max() * np.abs(source).max() + (0 if plain else np.abs(biases[1]).max())
    largest *= 0.25 * 0.7 * np.abs(weights[3]).sum(1).max()
    assert np.abs(got - (expected if plain else expected + residual)).max() <= ATTENTION_BF16 * largest + 1e-6
    identical(got[-1:], ops.attention(x[-1:], *weights, heads, source=source[-1:], **scales,
                                      **how | ({} if plain else {"residual": residual[-1:]}), **BF16))  # fmt: skip


@pytest.mark.parametrize(("c", "size"), [(64, 64), (128, 32)])
@pytest.mark.parametrize("act", ["linear", "gelu"])
@pytest.mark.parametrize("mean", [0, 20])
def test_the_attentions_of_the_image_network(c, size, act, mean):
    """Also of planes that are far from 0, of which only what differs within a plane is rounded."""
    draw = np.random.default_rng(4)
    apart = draw.standard_normal((2, c, 1, 1)).astype(np.float32)
    x, biases = random(0, 2, c, size, size) + mean * apart, [random(1, 512), random(2, 512), random(3, c)]
    weights = _weights(8, c, 64, 64, c)
    expected = exact.attention(x, x, weights, biases, 8, (64**-0.25, 64**-0.25, 1.0), act, 1.0)
    how = dict(zip(("q_bias", "v_bias", "out_bias"), biases, strict=True)) | {"act": act}
    scales = {"q_scale": 64**-0.25, "k_scale": 64**-0.25}
    got = ops.attention(x, *weights, 8, **scales, **how, **BF16)
    apart = expected - expected.mean((2, 3), keepdims=True)  # what a position is about
    error, varied = (np.linalg.norm(got - expected) / np.linalg.norm(value) for value in (expected, apart))
    print(f"{c} channels, {act}, mean {mean}: {error:.1e}, of what varies {varied:.1e}")
    assert 1e-6 < error <= ATTENTION_BF16_L2


def _run(threads, part, act="linear", c=70, size=40):
    x, source, residual = (random(k, 3, c, size, size + 1)[part] for k in range(3))
    weights, biases = _weights(5, c, 33, 40, 24), [random(3, 5 * 33), random(4, 5 * 40), random(5, 24)]
    residual = residual[:, :24].copy()
    return _kernels.native.attention(
        x, source, *weights, *biases, residual, 5, 0.5, 0.5, 1.0, act == "gelu", 1.0, threads, True
    )


@pytest.mark.parametrize("act", ["linear", "gelu"])
def test_threads_and_batch_do_not_change_bits(act):
    everything = _run(1, slice(None), act)
    for threads in (2, 3, 9):
        identical(_run(threads, slice(None), act), everything)
    for part in (slice(0, 1), slice(1, 3), slice(2, 3)):
        identical(_run(2, part, act), everything[part])


@given(samples, channels, widths, channels, sizes, sizes, st.sampled_from([0.2, -0.5]), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_feed_forward_against_float64(n, c, middle, o, h, w, slope, plain, far):
    x, w1, w2 = random(0, n, c, h, w), random(1, middle, c), random(2, o, middle)
    x = x + np.float32(30 * far) * random(6, n, c, 1, 1)
    b1, b2 = (None, None) if plain else (random(3, middle), random(4, o))
    residual = None if plain else random(5, n, o, h, w)
    hidden = np.einsum("mc,nchw->nmhw", np.float64(w1), x)
    hidden += 0 if plain else b1[:, None, None]
    hidden = np.where(hidden < 0, slope * hidden, hidden)
    expected = 1.5 * (np.einsum("om,nmhw->nohw", np.float64(w2), hidden) + (0 if plain else b2[:, None, None]))
    got = ops.feed_forward(x, w1, b1, w2, b2, slope, 1.5, residual=residual, **BF16)
    assert got.dtype == np.float32 and got.shape == expected.shape
    if not n:
        return
    inner = np.abs(w1).sum(1).max() * np.abs(x).max() + (0 if plain else np.abs(b1).max())
    largest = 1.5 * np.abs(w2).sum(1).max() * inner
    expected = expected if plain else expected + residual
    assert np.abs(got - expected).max() <= FEED_FORWARD_BF16 * largest + 1e-6
    part = slice(n - 1, n)
    more = {} if plain else {"residual": residual[part]}
    identical(ops.feed_forward(x[part], w1, b1, w2, b2, slope, 1.5, **more, **BF16), got[part])
    for threads in (2, 5):
        identical(_kernels.native.feed_forward(x, w1, b1, w2, b2, slope, 1.5, residual, threads, True), got)


def test_feed_forward_of_numbers_that_need_no_rounding_is_exact():
    """Ones of both signs, as many of each in a plane; sums of at most 40."""
    draw = np.random.default_rng(0)
    x = np.sign(np.arange(64) - 31.5)[draw.permuted(np.tile(np.arange(64), (2 * 33, 1)), axis=1)]
    x = x.reshape(2, 33, 8, 8).astype(np.float32)
    w1, w2 = (draw.integers(-1, 2, shape).astype(np.float32) for shape in ((40, 33), (9, 40)))
    b1 = draw.integers(-4, 5, 40).astype(np.float32)
    hidden = np.einsum("mc,nchw->nmhw", w1, x) + b1[:, None, None]
    expected = np.einsum("om,nmhw->nohw", w2, np.where(hidden < 0, 0.25 * hidden, hidden))
    identical(ops.feed_forward(x, w1, b1, w2, None, 0.25, **BF16), expected.astype(np.float32))


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_seen(bad):
    x, weights = random(0, 2, 8, 9, 9), _weights(2, 8, 4, 5, 6)
    w1, w2 = random(1, 12, 8), random(2, 8, 12)
    good, made = ops.attention(x, *weights, 2, **BF16), ops.feed_forward(x, w1, None, w2, None, **BF16)
    x[1, 2, 8, 7] = bad
    got = ops.attention(x, *weights, 2, **BF16)
    assert np.isnan(got[1]).all()
    identical(got[0], good[0])
    got = ops.feed_forward(x, w1, None, w2, None, **BF16)
    assert not np.isfinite(got[1, :, 8, 7]).any() and np.isfinite(got[1, :, :8]).all()
    identical(got[0], made[0])
    assert np.abs(got[1, :, :8] - made[1, :, :8]).max() <= FEED_FORWARD_BF16 * 100


def test_values_whose_exponentials_overflow():
    """What is left is the largest key's and query's."""
    x = 1000 * random(0, 1, 3, 23, 31)
    got = ops.attention(x, *_weights(2, 3, 4, 5, 6), 2, **BF16)
    assert np.isfinite(got).all() and np.abs(got).max() < 1e5


@needs_library
@given(samples, channels, st.integers(1, 9), widths, widths, channels, sizes, sizes, acts, st.booleans(),
       st.sampled_from([1, 2]))  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_onnx_runtime_has_the_same_bits(n, c, heads, d, e, o, h, w, act, plain, threads):
    x, names = random(0, n, c, h, w), ("to_q", "to_k", "to_v", "to_out")
    weights = dict(zip(names, _weights(heads, c, d, e, o), strict=True))
    biases = {"q_bias": random(2, heads * d), "v_bias": random(3, heads * e), "out_bias": random(4, o)}
    biases = dict.fromkeys(biases) if plain else biases
    residual = None if plain else random(5, n, o, h, w)
    inputs = {"x": x, "source": x[:, ::-1], **weights, **biases, "residual": residual}
    constant = [name for name in (*weights, *biases) if inputs[name] is not None]
    how = {"k_scale": 0.5, "act": act, "gain": 2.0, **BF16}
    got = ort_graphs.run("Attention", inputs, constant, threads, heads=heads, **how)
    identical(got, ops.attention(x, *weights.values(), heads, source=x[:, ::-1], residual=residual, **biases, **how))
    w1, w2 = random(6, e, c), random(7, o, e)
    inputs = {"x": x, "w1": w1, "w2": w2, "b1": None, "b2": None, "residual": residual}
    got = ort_graphs.run("FeedForward", inputs, ["w1", "w2"], threads, slope=0.25, **BF16)
    identical(got, ops.feed_forward(x, w1, None, w2, None, 0.25, residual=residual, **BF16))


@needs_library
def test_an_unknown_attribute_is_refused():
    inputs = {"x": random(0, 1, 2, 3, 3), "w1": random(1, 4, 2), "w2": random(2, 2, 4)}
    with pytest.raises(Exception, match='FeedForward: attribute products is "int8"'):
        ort_graphs.run("FeedForward", inputs, ["w1", "w2"], 1, products="int8")


def test_what_does_not_fit_is_refused_in_one_line():
    x, weights = random(0, 1, 3, 8, 8), _weights(2, 3, 4, 5, 6)
    for how, words in (({"products": "int8"}, "int8"), ({**BF16, "impl": "torch"}, "native")):
        for call in (lambda how=how: ops.attention(x, *weights, 2, **how),
                     lambda how=how: ops.feed_forward(x, weights[0], None, weights[0].T, None, **how)):  # fmt: skip
            with pytest.raises(InputError, match=words) as caught:
                call()
            assert "\n" not in str(caught.value)


_PROGRAM = """
import hashlib
import numpy as np
from dsb_fast import _kernels, ops
draw, digest = np.random.default_rng(3), hashlib.sha256()
def array(*shape):
    return draw.standard_normal(shape).astype(np.float32)
sizes = (1, 1, 1, 1, 1, 1, 1), (5, 3, 4, 7, 9, 4, 7), (33, 9, 16, 17, 16, 17, 9), (40, 8, 64, 64, 40, 33, 40)
for c, heads, d, e, o, h, w in sizes:
    x, source = array(2, c, h, w), 2 + array(2, c, h, w)
    to_q, to_k, to_v, to_out = array(heads * d, c), array(heads * d, c), array(heads * e, c), array(o, heads * e)
    for act in ("linear", "gelu"):
        how = dict(source=source, q_bias=array(heads * d), v_bias=array(heads * e), k_scale=0.25, q_scale=0.25, act=act)
        digest.update(ops.attention(x, to_q, to_k, to_v, to_out, heads, products="bfloat16", **how))
    digest.update(ops.feed_forward(x, array(e, c), array(e), array(o, e), None, products="bfloat16"))
print(_kernels.active_variant(), digest.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_variants_with_fma_have_the_same_bits(tmp_path):
    """Products of two bfloat16 are exact in float32, so they all make the same sums."""
    made = {name: digest for name, (digest,) in variants.each(_PROGRAM, tmp_path) if name != "scalar"}
    assert len(set(made.values())) <= 1, made

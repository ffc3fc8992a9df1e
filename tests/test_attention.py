"""Attention as one operator: against every q, k and v in float64, at its limits, and in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import layers as exact
from references import ort_graphs
from references.arrays import IMPLS, close, identical, random
from tolerances import ATTENTION_L2

import dsb_fast
from dsb_fast import _kernels, ops
from dsb_fast._library import has_library

native_only = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")
needs_library = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)
samples = st.integers(0, 3)
channels = st.sampled_from([1, 2, 5, 6, 7, 13, 16, 17, 33])
widths = st.sampled_from([1, 3, 15, 16, 17, 33])  # of a head
sizes = st.sampled_from([1, 2, 3, 7, 8, 16, 17, 33])
scales = st.sampled_from([1.0, 0.35355338, -0.5])
acts = st.sampled_from(["linear", "gelu"])


def _weights(heads: int, channels: int, features: int, values: int, out: int) -> list[np.ndarray]:
    shapes = [(heads * features, channels)] * 2 + [(heads * values, channels), (out, heads * values)]
    return [random(10 + k, *shape) / np.float32(shape[1] ** 0.5) for k, shape in enumerate(shapes)]


@given(
    samples, channels, st.integers(1, 5), widths, widths, channels, sizes, sizes, scales, scales, acts, st.booleans(),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_attention(n, c, heads, d, e, o, h, w, q_scale, k_scale, act, plain, flat):
    x, source = random(0, n, c, h, w), random(1, n, c, h, w)
    weights = _weights(heads, c, d, e, o)
    biases = [None] * 3 if plain else [random(2, heads * d), random(3, heads * e), random(4, o)]
    residual = None if plain else random(5, n, o, h, w)
    source = x if plain else source
    expected = exact.attention(x, source, weights, biases, heads, (q_scale, k_scale, 0.25), act, -0.7)
    expected = expected if residual is None else expected + residual
    how = dict(zip(("q_bias", "v_bias", "out_bias"), biases, strict=True)) | {"residual": residual, "act": act}
    how |= {} if plain else {"source": source}
    given_weights = weights if flat else [weight[:, :, None, None] for weight in weights]
    for impl in IMPLS:
        got = ops.attention(
            x, *given_weights, heads, q_scale=q_scale, k_scale=k_scale, out_scale=0.25, gain=-0.7, impl=impl, **how
        )
        close(got, expected)


@pytest.mark.parametrize(("c", "size"), [(64, 64), (128, 32)])
@pytest.mark.parametrize("act", ["linear", "gelu"])
def test_the_attentions_of_the_image_network(c, size, act):
    x, biases, weights = random(0, 2, c, size, size), [random(1, 512), random(2, 512), random(3, c)], []
    weights = _weights(8, c, 64, 64, c)
    weights[:2] = [2 * weight for weight in weights[:2]]
    expected = exact.attention(x, x, weights, biases, 8, (64**-0.25, 64**-0.25, 1.0), act, 1.0)
    how = dict(zip(("q_bias", "v_bias", "out_bias"), biases, strict=True)) | {"act": act}
    for impl in IMPLS:
        got = ops.attention(x, *weights, 8, q_scale=64**-0.25, k_scale=64**-0.25, impl=impl, **how)
        error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
        print(f"{c} channels, {act}, {impl}: {error:.1e}")
        assert error <= ATTENTION_L2


@pytest.mark.parametrize("act", ["linear", "gelu"])
@pytest.mark.parametrize("impl", IMPLS)
def test_attention_at_its_limits(impl, act):
    """Many positions; values whose exponentials overflow, and ones that leave nothing of others."""
    weights, how = _weights(2, 3, 4, 5, 6), {"act": act, "impl": impl}
    for x in (1 + random(0, 1, 3, 1, 70001), 500 * random(1, 2, 3, 23, 31), random(2, 1, 3, 1, 1)):
        close(ops.attention(x, *weights, 2, **how), exact.attention(x, x, weights, [None] * 3, 2, (1, 1, 1), act, 1))
    steep = random(3, 1, 3, 40, 50) * np.linspace(0, 300, 2000, dtype=np.float32).reshape(40, 50)
    close(ops.attention(steep, *weights, 2, **how),
          exact.attention(steep, steep, weights, [None] * 3, 2, (1, 1, 1), act, 1))  # fmt: skip


@native_only
def test_what_is_not_a_number_is_seen():
    x, weights = random(0, 2, 3, 9, 9), _weights(2, 3, 4, 5, 6)
    good = ops.attention(x, *weights, 2, impl="native")
    for value in (np.nan, np.inf, -np.inf):
        bad = x.copy()
        bad[1, 2, 8, 8] = value
        got = ops.attention(bad, *weights, 2, impl="native")
        assert np.isnan(got[1]).all()
        identical(got[0], good[0])


@native_only
def test_a_bias_of_k_would_do_nothing():
    """What linear_attention makes of such a k is what attention makes without the bias."""
    x, (to_q, to_k, to_v, to_out) = random(0, 2, 6, 8, 9), _weights(2, 6, 4, 5, 7)
    q, k, v = (ops.conv1x1(x, weight, random(k, len(weight))) for k, weight in enumerate((to_q, to_k, to_v)))
    expected = ops.conv1x1(ops.linear_attention(q, k, v, 2), to_out)
    got = ops.attention(x, to_q, to_k, to_v, to_out, 2, q_bias=random(0, len(to_q)), v_bias=random(2, len(to_v)))
    close(got, expected)


@needs_library
@given(samples, channels, st.integers(1, 5), widths, widths, channels, sizes, sizes, acts, st.booleans(),
       st.sampled_from([1, 2]))  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_attention_in_onnx_runtime_has_the_same_bits(n, c, heads, d, e, o, h, w, act, plain, threads):
    x, names = random(0, n, c, h, w), ("to_q", "to_k", "to_v", "to_out")
    weights = dict(zip(names, _weights(heads, c, d, e, o), strict=True))
    biases = {"q_bias": random(2, heads * d), "v_bias": random(3, heads * e), "out_bias": random(4, o)}
    biases = dict.fromkeys(biases) if plain else biases
    residual = None if plain else random(5, n, o, h, w)
    inputs = {"x": x, "source": x[:, ::-1], **weights, **biases, "residual": residual}
    constant = [name for name in (*weights, *biases) if inputs[name] is not None]
    how = {"k_scale": 0.5, "out_scale": 0.25, "act": act, "gain": 2.0}
    got = ort_graphs.run("Attention", inputs, constant, threads, heads=heads, **how)
    expected = ops.attention(
        x, *weights.values(), heads, source=x[:, ::-1], residual=residual, **biases, **how, impl="native"
    )
    identical(got, expected)


@needs_library
def test_the_operators_of_older_files_still_make_the_same():
    """Every q, k and v by Conv1x1, as files from before the operator have them."""
    x, weights = random(0, 2, 6, 8, 9), _weights(2, 6, 4, 5, 7)
    constants = dict(zip(("to_q", "to_k", "to_v", "to_out"), weights, strict=True))
    nodes = [ort_graphs.node("Conv1x1", ["x", f"to_{n}"], n) for n in "qkv"]
    nodes += [ort_graphs.node("LinearAttention", "qkv", "attended", heads=2, k_scale=0.5)]
    nodes += [ort_graphs.node("Conv1x1", ["attended", "to_out"], act="linear")]
    session = ort_graphs.session(ort_graphs.model(nodes, {"x": x, **constants}, tuple(constants)))
    close(session.run(None, {"x": x})[0], ops.attention(x, *weights, 2, k_scale=0.5))


@needs_library
@given(samples, channels, widths, channels, sizes, sizes, st.booleans(), st.sampled_from([1, 2]))
@settings(max_examples=25, deadline=None)
def test_feed_forward_in_onnx_runtime_has_the_same_bits(n, c, middle, o, h, w, plain, threads):
    x, w1, w2 = random(0, n, c, h, w), random(1, middle, c, 1, 1), random(2, o, middle)
    b1, b2 = (None, None) if plain else (random(3, middle), random(4, o))
    residual = None if plain else random(5, n, o, h, w)
    inputs = {"x": x, "w1": w1, "w2": w2, "b1": b1, "b2": b2, "residual": residual}
    constant = [name for name in ("w1", "w2", "b1", "b2") if inputs[name] is not None]
    got = ort_graphs.run("FeedForward", inputs, constant, threads, slope=0.25, gain=-0.5)
    identical(got, ops.feed_forward(x, w1, b1, w2, b2, 0.25, -0.5, residual=residual, impl="native"))


_X, _W = random(0, 2, 4, 6, 7), _weights(2, 4, 3, 5, 6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.attention(_X[0], *_W, 2), ["attention: x is [4, 6, 7]", "[N, C, H, W]"]),
        (lambda: ops.attention(_X, _W[0][:, :3], *_W[1:], 2), ["to_q is [6, 3]", "[out, 4]"]),
        (lambda: ops.attention(_X, _W[0], _W[1][:4], *_W[2:], 2), ["to_k has 4 outputs", "6"]),
        (lambda: ops.attention(_X, *_W[:3], _W[3][:, :8], 2), ["to_out is [6, 8]", "[out, 10]"]),
        (lambda: ops.attention(_X, *_W[:3], _W[3][:0], 2), ["to_out is [0, 10]", "no size 0"]),
        (lambda: ops.attention(_X, *_W, 4), ["to_q has 6 channels", "4 heads"]),
        (lambda: ops.attention(_X, *_W, 0), ["heads is 0"]),
        (lambda: ops.attention(_X, *_W, 2, source=_X[:1]), ["source is [1, 4, 6, 7]", "[2, 4, 6, 7]"]),
        (lambda: ops.attention(_X, *_W, 2, v_bias=random(0, 6)), ["v_bias is [6]", "[10]"]),
        (lambda: ops.attention(_X, *_W, 2, residual=_X), ["residual is [2, 4, 6, 7]", "[2, 6, 6, 7]"]),
        (lambda: ops.attention(_X, *_W, 2, act="relu"), ["act is 'relu'", "linear, gelu"]),
        (lambda: ops.attention(_X, *_W, 2, k_scale="k"), ["k_scale is 'k'"]),
        (lambda: ops.feed_forward(_X, _W[0], None, _W[1], None), ["feed_forward: w2 is [6, 4]", "[out, 6]"]),
        (lambda: ops.feed_forward(_X, _W[0], _X, _W[0].T, None), ["b1 is [2, 4, 6, 7]", "[6]"]),
        (lambda: ops.feed_forward(_X, _W[0], None, _W[0].T, None, "s"), ["slope is 's'"]),
    ],
)
def test_errors_name_thing_and_remedy(call, words):
    with pytest.raises(dsb_fast.InputError) as raised:
        call()
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value), str(raised.value)

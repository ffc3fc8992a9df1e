"""The layers of the GI-tract network: float64 references over random shapes, both implementations, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import layers as exact
from references import stylegan_ops
from references.arrays import IMPLS, close, random

import dsb_fast
from dsb_fast import _kernels, ops

native_only = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")
samples = st.integers(0, 3)
channels = st.sampled_from([0, 1, 2, 5, 7])
sizes = st.sampled_from([0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 65])
features = st.sampled_from([1, 5, 6, 7, 15, 16, 17, 63, 64, 65, 130])
activations = st.sampled_from(["linear", "relu", "lrelu", "tanh", "gelu"])
scales = st.sampled_from([1.0, 0.35355338, -0.5, 0.0])
shuffled = {"max_examples": 60, "deadline": None}


@given(samples, channels, sizes, sizes)
@settings(**shuffled)
def test_upsample_bilinear2d_and_blur2d(n, c, h, w):
    x = random(0, n, c, h, w)
    for impl in IMPLS:
        up, blurred = ops.upsample_bilinear2d(x, impl=impl), ops.blur2d(x, impl=impl)
        if x.size:
            close(up, exact.upsample_bilinear2d(x), 1e-6)
            close(blurred, exact.blur2d(x), 1e-6)
        assert up.shape == (n, c, 2 * h, 2 * w) and blurred.shape == x.shape


@pytest.mark.parametrize("impl", IMPLS)
def test_constant_images_stay_constant(impl):
    x = np.full((1, 2, 5, 17), 0.7, np.float32)
    assert (ops.upsample_bilinear2d(x, impl=impl) == x[0, 0, 0, 0]).all()
    close(ops.blur2d(x, impl=impl), x, 2e-7)


@given(samples, st.sampled_from([1, 2, 5, 8, 17]), sizes, sizes, st.sampled_from([1e-5, 1e-3, 1.0]))
@settings(**shuffled)
def test_channel_norm(n, c, h, w, eps):
    x, g, b = random(0, n, c, h, w), random(1, c), random(2, c)
    for impl in IMPLS:
        for eps_to in ("variance", "deviation"):
            close(ops.channel_norm(x, g, b, eps, eps_to, impl=impl), exact.channel_norm(x, g, b, eps, eps_to))
    assert ops.channel_norm(random(0, n, 0, h, w), g[:0], b[:0]).shape == (n, 0, h, w)


@given(samples, channels, sizes, sizes, st.sampled_from([1e-5, 1e-3, 1.0]))
@settings(**shuffled)
def test_instance_norm(n, c, h, w, eps):
    x, g, b = random(0, n, c, h, w), random(1, c), random(2, c)
    for impl in IMPLS:
        got = ops.instance_norm(x, g, b, eps, impl=impl)
        if x.size:
            close(got, exact.instance_norm(x, g, b, eps))
        assert got.shape == x.shape


def test_instance_norm_is_torchs():
    x, g, b = random(0, 3, 5, 17, 33), random(1, 5), random(2, 5)
    double = (torch.from_numpy(values).double() for values in (x, g, b))
    theirs = torch.nn.functional.instance_norm(next(double), weight=next(double), bias=next(double))
    for impl in IMPLS:
        close(ops.instance_norm(x, g, b, impl=impl), theirs.numpy())


def test_instance_norm_of_large_values_and_planes_stays_accurate():
    for x in (1000 + random(0, 2, 3, 33, 65), 0.01 * random(1, 1, 1, 512, 512)):
        g, b = random(1, x.shape[1]), random(2, x.shape[1])
        for impl in IMPLS:
            close(ops.instance_norm(x, g, b, impl=impl), exact.instance_norm(x, g, b, 1e-5), 1e-4)


def test_channel_norm_of_large_values_stays_accurate():
    x = 1000 + random(0, 2, 300, 3, 5)
    g, b = random(1, 300), random(2, 300)
    for impl in IMPLS:
        close(ops.channel_norm(x, g, b, impl=impl), exact.channel_norm(x, g, b, 1e-5), 1e-4)  # 6e-5 is one last place


@given(
    samples, st.sampled_from([0, 1, 5, 64, 65]), st.sampled_from([0, 1, 5, 6, 7, 13]), sizes, sizes, activations,
    st.booleans(), st.booleans(), st.booleans(), st.sampled_from([1, -0.7]),
)  # fmt: skip
@settings(**{**shuffled, "max_examples": 100})
def test_conv1x1(n, i, o, h, w, act, with_bias, with_residual, flat, gain):
    x, weight = random(0, n, i, h, w), random(1, o, i)
    bias, residual = random(2, o) if with_bias else None, random(3, n, o, h, w) if with_residual else None
    sums = stylegan_ops.bias_act(exact.conv1x1(x, weight), bias, 1, "linear", None, 1, None)
    expected = stylegan_ops.bias_act(sums, None, 1, act, None, gain, None)
    expected = expected if residual is None else expected + residual
    given_weight = weight if flat else weight[:, :, None, None]
    for impl in IMPLS:
        got = ops.conv1x1(x, given_weight, bias, act, gain=gain, residual=residual, impl=impl)
        close(got, expected, of=sums)
    if _kernels.native:
        several = ops.conv1x1(x, weight, impl="native")
        several = ops.bias_act(several, bias, act=act, gain=gain, impl="native")
        several = several if residual is None else several + residual
        assert (ops.conv1x1(x, weight, bias, act, gain=gain, residual=residual, impl="native") == several).all()


@given(samples, st.integers(1, 9), st.integers(1, 9), sizes)
@settings(**{**shuffled, "max_examples": 20})
def test_feed_forward(n, c, middle, size):
    x, w1, w2 = random(0, n, c, size, 3), random(1, middle, c, 1, 1), random(2, c, middle)
    b1, b2 = random(3, middle), random(4, c)
    hidden = stylegan_ops.bias_act(exact.conv1x1(x, w1[:, :, 0, 0]), b1, 1, "lrelu", 0.3, 1.0, None)
    expected = x + 0.25 * (exact.conv1x1(hidden, w2) + b2[:, None, None])
    for impl in IMPLS:
        close(ops.feed_forward(x, w1, b1, w2, b2, 0.3, 0.25, residual=x, impl=impl), expected)
        plain = ops.feed_forward(x, w1, None, w2, None, impl=impl)
        close(plain, exact.conv1x1(stylegan_ops.bias_act(exact.conv1x1(x, w1[:, :, 0, 0]), None, 1, "lrelu", 0.2, 1.0,
                                                         None), w2))  # fmt: skip


@given(samples, channels, sizes, sizes, st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.booleans())
@settings(**shuffled)
def test_depthwise_conv2d(n, c, h, w, kh, kw, padding, flat):
    x, weight = random(0, n, c, h, w), random(1, c, kh, kw)
    for impl in IMPLS:
        if h + 2 * padding < kh or w + 2 * padding < kw:
            with pytest.raises(dsb_fast.InputError, match="too small"):
                ops.depthwise_conv2d(x, weight, padding, impl=impl)
            continue
        got = ops.depthwise_conv2d(x, weight if flat else weight[:, None], padding, impl=impl)
        close(got, exact.depthwise_conv2d(x, weight, padding))


@given(samples, st.integers(1, 3), features, features, sizes, st.sampled_from([1, 2, 9]), scales, scales, scales)
@settings(**shuffled)
def test_linear_attention(n, heads, d, e, h, w, q_scale, k_scale, out_scale):
    q, k, v = random(0, n, heads * d, h, w), 3 * random(1, n, heads * d, h, w), random(2, n, heads * e, h, w)
    for impl in IMPLS:
        got = ops.linear_attention(q, k, v, heads, q_scale, k_scale, out_scale, impl=impl)
        if v.size:
            close(got, exact.linear_attention(q, k, v, heads, q_scale, k_scale, out_scale))
        assert got.shape == v.shape


@pytest.mark.parametrize("impl", IMPLS)
def test_linear_attention_at_its_limits(impl):
    """Many positions; values whose exponentials overflow; no features, no values, no positions."""
    q, k, v = random(0, 1, 4, 1, 70001), random(1, 1, 4, 1, 70001), 1 + random(2, 1, 6, 1, 70001)
    close(ops.linear_attention(q, k, v, 2, impl=impl), exact.linear_attention(q, k, v, 2, 1, 1, 1))
    q, k, v = (random(seed, 2, 6, 5, 7) for seed in range(3))
    close(
        ops.linear_attention(500 * q, 500 * k, v, 3, impl=impl), exact.linear_attention(500 * q, 500 * k, v, 3, 1, 1, 1)
    )
    none = ops.linear_attention(q[:, :0], k[:, :0], v, 3, impl=impl)
    assert none.shape == v.shape and (none == 0).all()
    assert ops.linear_attention(q, k, v[:, :0], 3, impl=impl).shape == (2, 0, 5, 7)


@given(
    st.sampled_from([0, 1, 2, 7, 17]), st.sampled_from([0, 1, 15, 16, 17, 65, 130]),
    st.sampled_from([0, 1, 7, 63, 64, 65, 130]), activations, st.booleans(), st.sampled_from([1.0, 0.1]),
    st.sampled_from([1.0, 0.01]), st.sampled_from([1, 1.4142135]),
)  # fmt: skip
@settings(**{**shuffled, "max_examples": 100})
def test_dense(n, i, o, act, with_bias, weight_gain, bias_gain, gain):
    x, weight, bias = random(0, n, i), random(1, o, i), random(2, o) if with_bias else None
    sums = exact.dense(x, weight, bias, weight_gain, bias_gain)
    expected = stylegan_ops.bias_act(sums, None, 1, act, None, gain, None)
    for impl in IMPLS:
        close(ops.dense(x, weight, bias, weight_gain, bias_gain, act, None, gain, impl=impl), expected, of=sums)
    if _kernels.native:
        several = ops.dense(x, weight * np.float32(weight_gain), impl="native")
        several = ops.bias_act(several, bias if bias is None else bias * np.float32(bias_gain), act=act, gain=gain)
        assert (ops.dense(x, weight, bias, weight_gain, bias_gain, act, None, gain, impl="native") == several).all()


@given(st.sampled_from([0, 1, 3]), st.sampled_from([0, 1, 2, 17, 512]), st.sampled_from(["l2", "rms"]))
@settings(**shuffled)
def test_normalize_latent(n, length, kind):
    z = random(0, n, length) * 3
    for impl in IMPLS:
        got = ops.normalize_latent(z, kind, impl=impl)
        assert got.shape == z.shape
        if z.size:
            close(got, exact.normalize_latent(z, kind), 1e-6)
    zero = np.zeros((2, 5), np.float32)
    assert all((ops.normalize_latent(zero, kind, impl=impl) == 0).all() for impl in IMPLS)


@given(samples, st.sampled_from([0, 1, 3, 4, 5]), sizes, sizes, st.sampled_from([(255.0, 0.5), (127.5, 128.0)]))
@settings(**shuffled)
def test_to_uint8(n, c, h, w, how):
    scale, offset = map(np.float32, how)
    image = random(0, n, c, h, w)
    expected = np.clip(image * scale + offset, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)  # float32 as described
    for impl in IMPLS:
        got = ops.to_uint8(image, *how, impl=impl)
        assert got.dtype == np.uint8 and got.shape == (n, h, w, c) and (got == expected).all()


@pytest.mark.parametrize("impl", IMPLS)
def test_grey_levels_are_the_packages(impl):
    """Clamp before or after: stylegan2-pytorch's order gives the same bytes. Infinities are held, not refused."""
    near = np.linspace(-0.01, 1.01, 300001, dtype=np.float32)
    image = np.concatenate([near, [-np.inf, np.inf, 3e38]]).astype(np.float32).reshape(1, 1, 1, -1)
    expected = (np.clip(image, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    assert (ops.to_uint8(image, 255, 0.5, impl=impl)[..., 0] == expected[0]).all()


@pytest.mark.parametrize("impl", IMPLS)
def test_what_is_no_number_has_no_level(impl):
    for position in range(70):
        image = np.zeros((2, 1, 1, 70), np.float32)
        image[1, 0, 0, position] = np.nan
        with pytest.raises(dsb_fast.InputError, match="to_uint8: image has values that are not numbers"):
            ops.to_uint8(image, 255, 0.5, impl=impl)
        with pytest.raises(dsb_fast.InputError, match="to_microvolt: signal has values that are not numbers"):
            ops.to_microvolt(image[1], impl=impl)


@pytest.mark.parametrize("impl", IMPLS)
def test_to_microvolt(impl):
    signal = np.array([[0.0, 0.99, -0.99, 1.5, -1.5], [7e4, -7e4, np.inf, -np.inf, 42]], np.float32) / np.float32(6000)
    got = ops.to_microvolt(signal, impl=impl)
    assert got.dtype == np.int16
    assert got.tolist() == [[0, 0, 0, 1, -1], [32767, -32768, 32767, -32768, 42]]
    assert ops.to_microvolt(signal[0], 600.0, impl=impl).tolist() == [0] * 5
    assert ops.to_microvolt(np.zeros((0, 8, 3), np.float32), impl=impl).shape == (0, 8, 3)
    values = random(0, 3, 8, 41)
    assert (ops.to_microvolt(values, impl=impl) == np.clip(values * np.float32(6000), -32768, 32767).astype("i2")).all()


CALLS = {
    "upsample_bilinear2d": ops.upsample_bilinear2d,
    "blur2d": ops.blur2d,
    "channel_norm": lambda x, **how: ops.channel_norm(x, random(1, 4), random(2, 4), **how),
    "instance_norm": lambda x, **how: ops.instance_norm(x, random(1, 4), random(2, 4), **how),
    "conv1x1": lambda x, **how: ops.conv1x1(x, random(1, 3, 4), random(2, 3), "gelu", **how),
    "feed_forward": lambda x, **how: ops.feed_forward(
        x, random(1, 8, 4), random(2, 8), random(3, 4, 8), None, residual=x, **how
    ),
    "attention": lambda x, **how: ops.attention(
        x, random(1, 6, 4), random(2, 6, 4), random(3, 10, 4), random(4, 3, 10), 2, out_bias=random(5, 3), **how
    ),
    "depthwise_conv2d": lambda x, **how: ops.depthwise_conv2d(x, random(1, 4, 3, 3), 1, **how),
    "linear_attention": lambda x, **how: ops.linear_attention(x, x, x, 2, **how),
    "dense": lambda x, **how: ops.dense(x[:, :, 0, 0], random(1, 3, 4), **how),
    "normalize_latent": lambda x, **how: ops.normalize_latent(x[:, :, 0, 0], "rms", **how),
    "to_uint8": lambda x, **how: ops.to_uint8(x, 127.5, 128, **how),
    "to_microvolt": ops.to_microvolt,
}


@pytest.mark.parametrize("impl", ["auto", *IMPLS])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_kind_that_goes_in_comes_out(name, impl):
    x = random(0, 2, 4, 6, 7)
    array = CALLS[name](x, impl=impl)
    tensor = CALLS[name](torch.from_numpy(x).requires_grad_(), impl=impl)
    assert isinstance(array, np.ndarray) and isinstance(tensor, torch.Tensor) and not tensor.requires_grad
    assert (tensor.numpy() == array).all()
    assert (CALLS[name](np.asfortranarray(x), impl=impl) == array).all()
    unaligned = np.frombuffer(bytearray(b"x" + x.tobytes()), np.float32, offset=1).reshape(x.shape)
    assert (CALLS[name](unaligned, impl=impl) == array).all()


@pytest.mark.parametrize("name", sorted(CALLS))
def test_other_types_are_never_traded_silently(name):
    x = random(0, 1, 4, 5, 5).astype(np.float64)
    got = CALLS[name](x)
    assert got.dtype == {"to_uint8": np.uint8, "to_microvolt": np.int16}.get(name, np.float64)
    with pytest.raises(dsb_fast.InputError, match=f"{name}: .* is float64"):
        CALLS[name](x, impl="native")
    with pytest.raises(dsb_fast.InputError, match=f"{name}: .* is int64"):
        CALLS[name](np.ones((1, 4, 3, 3), np.int64))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: ops.blur2d(x[0]), ["blur2d: x is [4, 6, 7]", "[N, C, H, W]"]),
        (lambda x: ops.upsample_bilinear2d(x[0]), ["x is [4, 6, 7]"]),
        (lambda x: ops.to_uint8(x[0], 1, 0), ["image is [4, 6, 7]"]),
        (lambda x: ops.to_uint8(x, float("nan"), 0), ["scale is nan"]),
        (lambda x: ops.to_microvolt(x, "mV"), ["scale is 'mV'"]),
        (lambda x: ops.channel_norm(x, np.ones(3, "f4"), np.ones(4, "f4")), ["g is [3]", "needs [4]"]),
        (lambda x: ops.channel_norm(x, np.ones(4, "f4"), np.ones((4, 1), "f4")), ["b is [4, 1]", "needs [4]"]),
        (lambda x: ops.channel_norm(x, x[0, :, 0, 0], x[0, :, 0, 0], eps=-1), ["eps is -1.0"]),
        (lambda x: ops.channel_norm(x, x[0, :, 0, 0], x[0, :, 0, 0], eps_to="g"), ["eps_to is 'g'", "deviation"]),
        (lambda x: ops.instance_norm(x, np.ones(3, "f4"), np.ones(4, "f4")), ["instance_norm: g is [3]", "needs [4]"]),
        (lambda x: ops.instance_norm(x, x[0, :, 0, 0], x[0, :, 0, 0], eps=-1), ["eps is -1.0"]),
        (lambda x: ops.conv1x1(x, random(0, 3, 5)), ["weight is [3, 5]", "[out, 4]"]),
        (lambda x: ops.conv1x1(x, random(0, 3, 4, 3, 3)), ["weight is [3, 4, 3, 3]", "[out, 4, 1, 1]"]),
        (lambda x: ops.conv1x1(x, random(0, 3, 4), random(0, 4)), ["bias is [4]", "needs [3]"]),
        (lambda x: ops.conv1x1(x, random(0, 3, 4), residual=x), ["residual is [2, 4, 6, 7]", "[2, 3, 6, 7]"]),
        (lambda x: ops.conv1x1(x, random(0, 3, 4), act="sine"), ["act 'sine'", "gelu"]),
        (
            lambda x: ops.feed_forward(x, random(0, 3, 4), None, random(0, 4, 5), None),
            ["feed_forward: w2 is [4, 5]", "[out, 3]"],
        ),
        (lambda x: ops.depthwise_conv2d(x, random(0, 3, 3, 3)), ["weight is [3, 3, 3]", "[4, h, w]"]),
        (lambda x: ops.depthwise_conv2d(x, random(0, 4, 2, 3, 3)), ["weight is [4, 2, 3, 3]"]),
        (lambda x: ops.depthwise_conv2d(x, random(0, 4, 3, 3), 0.5), ["padding is 0.5"]),
        (lambda x: ops.depthwise_conv2d(x, random(0, 4, 3, 3), -1), ["padding is -1"]),
        (lambda x: ops.linear_attention(x[0], x, x, 2), ["q is [4, 6, 7]"]),
        (lambda x: ops.linear_attention(x, x[:1], x, 2), ["k is [1, 4, 6, 7]", "[2, 4, 6, 7]"]),
        (lambda x: ops.linear_attention(x, x, x[:, :, :2], 2), ["v is [2, 4, 2, 7]"]),
        (lambda x: ops.linear_attention(x, x, x, 3), ["q has 4 channels", "3 heads"]),
        (lambda x: ops.linear_attention(x, x, x[:, :3], 2), ["v has 3 channels", "2 heads"]),
        (lambda x: ops.linear_attention(x, x, x, 0), ["heads is 0"]),
        (lambda x: ops.linear_attention(x, x, x, "two"), ["heads is 'two'"]),
        (lambda x: ops.linear_attention(x, x, x, 2, q_scale=None), ["q_scale is None"]),
        (lambda x: ops.dense(x, random(0, 3, 4)), ["x is [2, 4, 6, 7]", "[N, features]"]),
        (lambda x: ops.dense(x[:, :, 0, 0], random(0, 3, 5)), ["weight is [3, 5]", "[out, 4]"]),
        (lambda x: ops.dense(x[:, :, 0, 0], random(0, 3, 4), random(0, 4)), ["bias is [4]", "needs [3]"]),
        (lambda x: ops.dense(x[:, :, 0, 0], random(0, 3, 4), weight_gain="big"), ["weight_gain is 'big'"]),
        (lambda x: ops.normalize_latent(x, "l2"), ["z is [2, 4, 6, 7]"]),
        (lambda x: ops.normalize_latent(x[:, :, 0, 0], "l1"), ["kind 'l1'", "l2, rms"]),
    ],
)
def test_errors_name_thing_and_remedy(call, words):
    with pytest.raises(dsb_fast.InputError) as raised:
        call(random(0, 2, 4, 6, 7))
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value), str(raised.value)

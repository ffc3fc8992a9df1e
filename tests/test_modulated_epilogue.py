"""What modulated_conv2d does in the same pass: noise gain, bias, activation, clamp, style offset and residual."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references import stylegan_ops as exact
from references.arrays import IMPLS, close, random

import dsb_fast
from dsb_fast import _kernels, ops

native_only = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")
activations = st.sampled_from(sorted(exact.ACTIVATIONS))
samples, channels = st.integers(0, 3), st.integers(1, 5)
sizes = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 33])
resampling = st.sampled_from([(1, 1), (2, 1), (1, 2)])
offset = st.sampled_from([0.0, 1.0, -0.5])
clamp = st.sampled_from([None, 0.0, 0.7])
gain = st.sampled_from([None, 1.0, 1.7])


@given(
    samples, channels, channels, sizes, sizes, resampling, activations, gain, clamp, offset, st.booleans(),
    st.booleans(), st.booleans(), st.integers(0, 2),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_against_float64(
    n, i, o, h, w, factors, act, gain, clamp, offset, with_bias, with_gain, with_residual, noise_kind
):
    x, weight, styles = random(0, n, i, h, w), random(1, o, i, 3, 3), random(2, n, i)
    up, down = factors
    f = ops.setup_filter([1, 3, 3, 1])
    size = [s * up // down for s in (h, w)]
    assume(min(size) > 0)
    noise = None if noise_kind == 0 else random(3, *((n, 1) if noise_kind == 1 else ()), *size)
    bias, noise_gain = random(4, o) if with_bias else None, random(5, o) if with_gain else None
    factor = styles.astype(np.float64) + offset
    per_channel = noise
    if noise is not None and with_gain:
        per_channel = noise.astype(np.float64) * noise_gain[:, None, None]
    sums = exact.modulated_conv2d(x, weight, factor, per_channel, up, down, [1] * 4, f, True, True)
    sums = exact.bias_act(sums if n else np.zeros((0, o, *size)), bias, 1, "linear", None, 1, None)
    expected = exact.bias_act(sums, None, 1, act, None, gain, clamp)
    residual = random(6, n, o, *size) if with_residual else None
    expected = expected if residual is None else expected + residual
    for impl in IMPLS:
        got = ops.modulated_conv2d(
            x, weight, styles, noise, up, down, 1, f, noise_gain=noise_gain, bias=bias, act=act, gain=gain, clamp=clamp,
            style_offset=offset, residual=residual, impl=impl,
        )  # fmt: skip
        close(got, expected, of=sums)


@native_only
@given(channels, channels, sizes, activations, gain, clamp, offset, st.booleans())
@settings(max_examples=60, deadline=None)
def test_one_pass_has_the_bits_of_several(i, o, size, act, gain, clamp, offset, demodulate):
    x, weight, styles = random(0, 2, i, size, size), random(1, o, i, 3, 3), random(2, 2, i)
    noise, noise_gain, bias = random(3, 2, 1, size, size), random(4, o), random(5, o)
    how = {"padding": 1, "demodulate": demodulate, "impl": "native"}
    tail = {"act": act, "alpha": 0.1, "gain": gain, "clamp": clamp}
    got = ops.modulated_conv2d(
        x, weight, styles, noise, noise_gain=noise_gain, bias=bias, style_offset=offset, **tail, **how
    )
    plain = [
        ops.modulated_conv2d(x, weight[c : c + 1], styles + np.float32(offset), noise * noise_gain[c], **how)
        for c in range(o)
    ]
    several = ops.bias_act(np.concatenate(plain, axis=1), bias, **tail, impl="native")
    assert (got == several).all()
    extra = {"noise_gain": noise_gain, "bias": bias, "style_offset": offset, "residual": several, **tail, **how}
    assert (ops.modulated_conv2d(x, weight, styles, noise, **extra) == several + several).all()


@pytest.mark.parametrize("impl", IMPLS)
def test_tensors_give_a_tensor(impl):
    x, weight, styles, bias = (random(k, *s) for k, s in enumerate([(1, 2, 5, 5), (3, 2, 1, 1), (1, 2), (3,)]))
    array = ops.modulated_conv2d(x, weight, styles, bias=bias, act="lrelu", style_offset=1, impl=impl)
    tensors = [torch.from_numpy(v) for v in (x, weight, styles)]
    tensor = ops.modulated_conv2d(*tensors, bias=torch.from_numpy(bias), act="lrelu", style_offset=1, impl=impl)
    assert isinstance(tensor, torch.Tensor) and (tensor.numpy() == array).all()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"bias": random(0, 2)}, ["bias is [2]", "needs [3]"]),
        ({"noise_gain": random(0, 3, 1)}, ["noise_gain is [3, 1]", "needs [3]"]),
        ({"residual": random(0, 3, 4, 4)}, ["residual is [3, 4, 4]", "[1, 3, 4, 4]"]),
        ({"act": "gelo"}, ["act 'gelo'", "lrelu"]),
        ({"clamp": -1}, ["clamp is -1.0"]),
        ({"style_offset": float("inf")}, ["style_offset is inf"]),
        ({"gain": "much"}, ["gain is 'much'"]),
    ],
)
def test_errors_name_thing_and_remedy(extra, words):
    with pytest.raises(dsb_fast.InputError) as raised:
        ops.modulated_conv2d(random(0, 1, 2, 4, 4), random(1, 3, 2, 1, 1), random(2, 1, 2), **extra)
    assert "\n" not in str(raised.value)
    for word in ["modulated_conv2d", *words]:
        assert word in str(raised.value), str(raised.value)

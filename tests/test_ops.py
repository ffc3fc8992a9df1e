"""The operators of StyleGAN2: golden cases, float64 references over random shapes, both implementations."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import stylegan_ops as exact
from tolerances import OPS

import dsb_fast
from dsb_fast import _kernels, ops

IMPLS = ["native", "torch"] if _kernels.native else ["torch"]
FUNCTIONS = ("upfirdn2d", "filter2d", "upsample2d", "downsample2d", "bias_act", "modulated_conv2d")
LAYERS = (
    "attention", "blur2d", "channel_norm", "conv1x1", "dense", "depthwise_conv2d", "feed_forward", "instance_norm",
    "linear_attention", "normalize_latent", "to_microvolt", "to_uint8", "upsample_bilinear2d",
)  # fmt: skip


def _close(got, expected, tolerance=OPS):
    assert got.shape == expected.shape, (got.shape, expected.shape)
    if expected.size:
        error = np.abs(np.asarray(got, np.float64) - expected).max()
        assert error <= tolerance * max(np.abs(expected).max(), 1e-30), error


def _random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_setup_filter_golden(data):
    results = np.load(data / "ops/setup_filter.npz")
    for case in json.loads((data / "ops/setup_filter.json").read_text()):
        got = ops.setup_filter(case["f"], **case["kwargs"])
        assert isinstance(got, np.ndarray) and got.dtype == np.float32
        _close(got, results[case["name"]], 1e-6)
        if case["f"] is not None:
            tensor = ops.setup_filter(torch.tensor(case["f"]), **case["kwargs"])
            assert isinstance(tensor, torch.Tensor) and (tensor.numpy() == got).all()


def _call(name, case, arrays, impl):
    key, options = case["key"], dict(case["kwargs"])
    array = {k: arrays[f"{key}.{k}"] for k in ("x", "f", "b", "weight", "styles", "noise") if f"{key}.{k}" in arrays}
    if name == "upfirdn2d":
        return getattr(ops, case["fn"])(array["x"], array.get("f"), impl=impl, **options)
    if name == "bias_act":
        return ops.bias_act(array["x"], array.get("b"), impl=impl, **options)
    return ops.modulated_conv2d(
        array["x"], array["weight"], array["styles"], array.get("noise"), resample_filter=array.get("f"), impl=impl,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("name", ["upfirdn2d", "bias_act", "modulated_conv2d"])
def test_golden_cases(name, impl, data):
    arrays, cases = np.load(data / f"ops/{name}.npz"), json.loads((data / f"ops/{name}.json").read_text())
    assert len(cases) > 20
    for case in cases:
        _close(_call(name, case, arrays, impl), arrays[f"{case['key']}.y"])


sizes = st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65])
small = st.integers(1, 5)
factor = st.integers(1, 4)


@given(
    st.integers(0, 3), small, small, sizes, st.tuples(factor, factor), st.tuples(factor, factor),
    st.lists(st.integers(-3, 6), min_size=4, max_size=4), st.integers(1, 6), st.integers(0, 6), st.booleans(),
    st.floats(0.25, 4),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_upfirdn2d_any_shape(n, c, h, w, up, down, padding, taps_x, taps_y, flip, gain):
    f = _random(1, taps_y, taps_x) if taps_y else _random(1, taps_x)
    size_y = taps_y or taps_x
    x = _random(0, n, c, h, w)
    fits = w * up[0] + padding[0] + padding[1] >= taps_x and h * up[1] + padding[2] + padding[3] >= size_y
    # Cropping more than there is on one side has no meaning in the description either.
    fits = fits and min(padding[:2]) > -w * up[0] and min(padding[2:]) > -h * up[1]
    for impl in IMPLS:
        if not fits:
            continue
        got = ops.upfirdn2d(x, f, list(up), list(down), padding, flip, gain, impl=impl)
        _close(got, exact.upfirdn2d(x, f, up, down, padding, flip, gain))


@given(
    st.sampled_from(sorted(exact.ACTIVATIONS)), st.integers(0, 3), st.lists(st.integers(0, 17), min_size=1, max_size=4),
    st.integers(0, 3), st.booleans(), st.sampled_from([None, 0.0, 0.7]), st.sampled_from([None, 1.0, 1.7]),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_bias_act_any_shape(act, seed, shape, dim, with_bias, clamp, gain):
    dim = min(dim, len(shape) - 1)
    x = _random(seed, *shape) * 4
    b = _random(seed + 9, shape[dim]) if with_bias else None
    for impl in IMPLS:
        got = ops.bias_act(x, b, dim, act, None, gain, clamp, impl=impl)
        _close(got, exact.bias_act(x, b, dim, act, None, gain, clamp))
        if with_bias:
            assert (ops.bias_act(x, b, dim - len(shape), act, None, gain, clamp, impl=impl) == got).all()


@pytest.mark.skipif(not _kernels.native, reason="the extension is not built (DSB_NATIVE=0)")
@pytest.mark.parametrize("act", sorted(exact.ACTIVATIONS))
def test_activations_over_their_whole_range(act):
    """Relative error of the kernels' own exponentials and logarithms, from the smallest to the largest arguments."""
    magnitudes = np.concatenate([np.logspace(-30, 2.5, 20000), [0.0, 87.0, 88.0, 89.0, 104.0, 3e38]])
    x = np.concatenate([-magnitudes, magnitudes]).astype(np.float32)
    with np.errstate(over="ignore"):
        expected = exact.bias_act(x, None, 0, act, None, 1.0, None)
    got = ops.bias_act(x, act=act, gain=1.0, impl="native").astype(np.float64)
    allowed = 6e-7 * np.abs(expected) + 1.2e-38  # results below the normal range may vanish
    assert (np.abs(got - expected) <= allowed).all(), x[np.argmax(np.abs(got - expected) - allowed)]
    nan = ops.bias_act(np.array([np.nan], np.float32), act=act, impl="native")
    assert np.isnan(nan).all() or act == "relu"


@given(
    st.integers(0, 3), small, small, small, sizes, st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.integers(0, 3),
    st.sampled_from([None, [1], [1, 3, 3, 1], list(range(1, 13)), "2d"]), st.booleans(), st.booleans(),
    st.integers(0, 2),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_modulated_conv2d_any_shape(n, i, o, h, w, kh, kw, up, down, pad, taps, demodulate, flip_weight, noise_kind):
    f = None if taps is None else _random(5, 3, 2) if taps == "2d" else ops.setup_filter(taps)
    x, weight, styles = _random(0, n, i, h, w), _random(1, o, i, kh, kw), _random(2, n, i) + 1.5
    padding = [pad, pad, pad, pad]
    for impl in IMPLS:
        options = {"up": up, "down": down, "padding": padding, "resample_filter": f}
        options |= {"demodulate": demodulate, "impl": impl}
        try:
            plain = ops.modulated_conv2d(x, weight, styles, flip_weight=flip_weight, **options)
        except dsb_fast.InputError as error:
            assert "too small" in str(error)
            continue
        noise = None if noise_kind == 0 else _random(3, *((n, 1) if noise_kind == 1 else ()), *plain.shape[2:])
        got = ops.modulated_conv2d(x, weight, styles, noise, flip_weight=flip_weight, **options)
        expected = exact.modulated_conv2d(x, weight, styles, noise, up, down, padding, f, demodulate, flip_weight)
        _close(got, expected if n else np.zeros(got.shape))


def test_sums_of_many_channels_stay_accurate():
    x, weight, styles = _random(0, 2, 512, 8, 9), _random(1, 3, 512, 3, 3), _random(2, 2, 512) + 1
    expected = exact.modulated_conv2d(x, weight, styles, None, 1, 1, [1] * 4, None, True, True)
    for impl in IMPLS:
        _close(ops.modulated_conv2d(x, weight, styles, padding=1, impl=impl), expected)


@pytest.mark.parametrize("impl", ["auto", *IMPLS])
def test_the_kind_that_goes_in_comes_out(impl):
    x, f = _random(0, 2, 3, 6, 7), ops.setup_filter([1, 3, 3, 1])
    array = ops.upsample2d(x, f, impl=impl)
    tensor = ops.upsample2d(torch.from_numpy(x).requires_grad_(), torch.from_numpy(f), impl=impl)
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
    assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32 and not tensor.requires_grad
    assert (tensor.numpy() == array).all()
    strided = ops.upsample2d(np.asfortranarray(x), f, impl=impl)
    assert (strided == array).all()


def test_other_types_are_never_traded_silently():
    x, f = _random(0, 1, 2, 5, 5).astype(np.float64), ops.setup_filter([1, 2, 1])
    assert ops.filter2d(x, f).dtype == np.float64
    with pytest.raises(dsb_fast.InputError, match="float64"):
        ops.filter2d(x, f, impl="native")
    assert ops.filter2d(torch.from_numpy(x).bfloat16(), f).dtype == torch.bfloat16
    with pytest.raises(dsb_fast.InputError, match="int64"):
        ops.filter2d(np.ones((1, 1, 3, 3), np.int64), f)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.upfirdn2d(np.ones((2, 3)), None), ["[2, 3]", "[N, C, H, W]"]),
        (lambda: ops.upfirdn2d(_random(0, 1, 1, 2, 2), np.ones(5, "f4")), ["too small", "5 x 5"]),
        (lambda: ops.upfirdn2d(_random(0, 1, 1, 2, 2), np.ones((1, 1, 1), "f4")), ["f is [1, 1, 1]"]),
        (lambda: ops.upfirdn2d(_random(0, 1, 1, 2, 2), None, up=0), ["up is 0"]),
        (lambda: ops.upfirdn2d(_random(0, 1, 1, 2, 2), None, padding=[1, 2, 3]), ["padding"]),
        (lambda: ops.upfirdn2d(_random(0, 1, 1, 2, 2), None, down=1.5), ["down is 1.5"]),
        (lambda: ops.upfirdn2d(_random(0, 1, 1, 2, 2), None, gain=float("nan")), ["gain"]),
        (lambda: ops.upsample2d(_random(0, 1, 1, 2, 2), None, impl="cuda"), ["upsample2d", "impl 'cuda'"]),
        (lambda: ops.bias_act(_random(0, 2, 3), _random(0, 4)), ["b is [4]", "[3]"]),
        (lambda: ops.bias_act(_random(0, 2, 3), _random(0, 4), dim=5), ["dimension 5"]),
        (lambda: ops.bias_act(_random(0, 2, 3), act="gelo"), ["act 'gelo'", "gelu"]),
        (lambda: ops.bias_act(_random(0, 2, 3), clamp=-1), ["clamp"]),
        (lambda: ops.setup_filter([[[1]]]), ["f is"]),
        (lambda: ops.setup_filter([1, -1]), ["sum to 0"]),
        (lambda: ops.setup_filter([[1, 2], [3, 4]], separable=True), ["separable"]),
        (lambda: ops.setup_filter("abc"), ["f is"]),
        (
            lambda: ops.modulated_conv2d(_random(0, 4, 512, 2, 2), _random(0, 8, 512, 1, 1), _random(0, 4, 256)),
            ["modulated_conv2d: styles is [4, 256]", "needs [4, 512]"],
        ),
        (
            lambda: ops.modulated_conv2d(_random(0, 1, 2, 2, 2), _random(0, 8, 3, 1, 1), _random(0, 1, 2)),
            ["weight is [8, 3, 1, 1]", "[8, 2, 1, 1]"],
        ),
        (
            lambda: ops.modulated_conv2d(_random(0, 1, 2, 2, 2), _random(0, 8, 2, 3, 3), _random(0, 1, 2)),
            ["too small"],
        ),
        (
            lambda: ops.modulated_conv2d(
                _random(0, 1, 2, 4, 4), _random(0, 8, 2, 3, 3), _random(0, 1, 2), _random(0, 4, 4)
            ),
            ["noise is [4, 4]", "[2, 2]"],
        ),
    ],
)
def test_errors_name_thing_and_remedy(call, words):
    with pytest.raises(dsb_fast.InputError) as raised:
        call()
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value), str(raised.value)


def test_signatures_are_the_contracts():
    expected = {
        "setup_filter": ["f", "normalize", "flip_filter", "gain", "separable"],
        "upfirdn2d": ["x", "f", "up", "down", "padding", "flip_filter", "gain", "impl"],
        "bias_act": ["x", "b", "dim", "act", "alpha", "gain", "clamp", "impl"],
        "modulated_conv2d": ["x", "weight", "styles", "noise", "up", "down", "padding", "resample_filter", "demodulate",
                             "flip_weight", "noise_gain", "bias", "act", "alpha", "gain", "clamp", "style_offset",
                             "residual", "products", "impl"],
    }  # fmt: skip
    for name, names in expected.items():
        assert list(inspect.signature(getattr(ops, name)).parameters) == names
    assert set(ops.__all__) == {*FUNCTIONS, *LAYERS, "setup_filter", "library_path", "PackedWeight"}


def test_without_torch_and_extension(monkeypatch):
    monkeypatch.setattr(_kernels, "native", None)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(dsb_fast.MissingDependencyError, match=r"dsb-fast\[torch\]"):
        ops.bias_act(_random(0, 2, 3))

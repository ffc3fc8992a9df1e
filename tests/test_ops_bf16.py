"""bfloat16 in the operators: float64 references on the rounded inputs, types kept, the same bits however it is run."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import stylegan_ops as exact
from tolerances import BF16_LAYER, BF16_ROUNDING, OPS

import dsb_fast
from dsb_fast import _kernels, ops

BF16 = np.dtype(ml_dtypes.bfloat16)
IMPLS = ["native", "torch"] if _kernels.native else ["torch"]
needs_native = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")


def _random(seed, *shape):
    """Random bfloat16."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(BF16)


def _largest(values):
    return max(np.abs(values).max(), 1e-30) if values.size else 1e-30


def _close(got, expected, allowed):
    """Within ``allowed``, element by element, and what float32 sums cost."""
    assert got.dtype == BF16 and got.shape == expected.shape, (got.dtype, got.shape, expected.shape)
    error = np.abs(got.astype(np.float64) - expected)
    assert (error <= allowed + OPS * _largest(expected)).all(), (error - allowed).max()


def _round_bits(values):
    return _kernels.native.round_bf16(values, 0)


def _special_bits():
    """Every exponent with fractions around the ties, both signs: denormals, infinities and what is no number too."""
    fractions = [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x10000, 0x17FFF, 0x18000, 0x18001, 0x7F7FFF, 0x7F8000, 0x7FFFFF]
    upper = (np.arange(512, dtype=np.uint32) << 23)[:, None]
    return (upper | np.array(fractions, np.uint32)).ravel()


@needs_native
def test_rounding_bit_for_bit():
    bits = np.concatenate([_special_bits(), np.random.default_rng(0).integers(0, 2**32, 200_003, np.uint32)])
    for values in (bits.view(np.float32), bits[1:].view(np.float32), bits[:1].view(np.float32)):
        got, number = _round_bits(values), ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            assert (got == values.astype(BF16).view(np.uint16)).all()
        in_torch = torch.from_numpy(values.copy()).bfloat16().view(torch.int16).numpy().view(np.uint16)
        assert (got[number] == in_torch[number]).all()  # which not-a-number torch makes depends on its build
        assert np.isnan(got.view(BF16)[~number].astype(np.float32)).all()
    assert _round_bits(np.empty((0, 3), np.float32)).shape == (0, 3)


@needs_native
def test_widening_is_exact():
    bits = np.arange(2**16, dtype=np.uint16)
    values = bits[~np.isnan(bits.view(BF16).astype(np.float32))].view(BF16)
    for part in (values, values[3:]):
        got = ops.bias_act(part, impl="native")  # widened, plus 0, times 1, rounded
        assert (got.astype(np.float32) == part.astype(np.float32)).all()


def _pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


def _expected_upfirdn2d(fn, x, f, up=None, down=None, padding=0, flip_filter=False, gain=1):
    """The wrappers in terms of upfirdn2d, as the golden files' description has them."""
    up = up or (2 if fn == "upsample2d" else 1)
    down = down or (2 if fn == "downsample2d" else 1)
    (up_x, up_y), (down_x, down_y) = _pair(up), _pair(down)
    padding = padding if isinstance(padding, list) else [padding] * 2
    padding = list(padding) if len(padding) == 4 else [padding[0], padding[0], padding[1], padding[1]]
    taps = (1, 1) if f is None else (f.shape[-1], f.shape[0])
    for axis, (t, u, d) in enumerate(zip(taps, (up_x, up_y), (down_x, down_y), strict=True)):
        before, after = {
            "upfirdn2d": (0, 0), "filter2d": (t // 2, (t - 1) // 2), "upsample2d": ((t + u - 1) // 2, (t - u) // 2),
            "downsample2d": ((t - d + 1) // 2, (t - d) // 2),
        }[fn]  # fmt: skip
        padding[2 * axis] += before
        padding[2 * axis + 1] += after
    gain = gain * up_x * up_y if fn == "upsample2d" else gain
    return exact.upfirdn2d(x, f, (up_x, up_y), (down_x, down_y), padding, flip_filter, gain)


def _expected(name, case, a):
    """float64 of a golden case's arrays, rounded or not."""
    how = {"up": 1, "down": 1, "padding": 0, "demodulate": True, "flip_weight": True, **case["kwargs"]}
    if name == "upfirdn2d":
        return _expected_upfirdn2d(case["fn"], a["x"], a.get("f"), **case["kwargs"])
    if name == "bias_act":
        options = [case["kwargs"].get(k) for k in ("alpha", "gain", "clamp")]
        return exact.bias_act(a["x"], a.get("b"), how.get("dim", 1), how.get("act", "linear"), *options)
    padding = how["padding"] if isinstance(how["padding"], list) else [how["padding"]] * 2
    padding = padding if len(padding) == 4 else [padding[0], padding[0], padding[1], padding[1]]
    arrays = [a.get(k) for k in ("x", "weight", "styles", "noise")]
    return exact.modulated_conv2d(
        *arrays, how["up"], how["down"], padding, a.get("f"), how["demodulate"], how["flip_weight"]
    )


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("name", ["upfirdn2d", "bias_act", "modulated_conv2d"])
def test_golden_cases(name, impl, data):
    """The original's cases on inputs that are rounded, within one layer's tolerance of float64."""
    arrays, cases = np.load(data / f"ops/{name}.npz"), json.loads((data / f"ops/{name}.json").read_text())
    assert len(cases) > 20
    worst = 0.0
    for case in cases:
        key, how = case["key"], case["kwargs"]
        full = {k: arrays[f"{key}.{k}"] for k in ("x", "f", "b", "weight", "styles", "noise") if f"{key}.{k}" in arrays}
        original = arrays[f"{key}.y"]
        assert np.abs(_expected(name, case, full) - original).max() <= OPS * _largest(original), "not the golden case"
        a = {k: v if k == "f" else v.astype(BF16) for k, v in full.items()}
        if name == "upfirdn2d":
            got = getattr(ops, case["fn"])(a["x"], a.get("f"), impl=impl, **how)
        elif name == "bias_act":
            got = ops.bias_act(a["x"], a.get("b"), impl=impl, **how)
        else:
            inputs = [a.get(k) for k in ("x", "weight", "styles", "noise")]
            got = ops.modulated_conv2d(*inputs, resample_filter=a.get("f"), impl=impl, **how)
        expected = _expected(name, case, a)
        _close(got, expected, BF16_LAYER * _largest(expected))
        worst = max(worst, np.abs(got.astype(np.float64) - expected).max() / _largest(expected))
    print(f"{name}, {impl}: {worst:.1e}")


sizes = st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65])
small = st.integers(1, 5)
factor = st.integers(1, 3)


@given(
    st.integers(0, 3), small, small, sizes, st.tuples(factor, factor), st.tuples(factor, factor),
    st.lists(st.integers(-2, 6), min_size=4, max_size=4), st.integers(1, 6), st.integers(0, 6), st.booleans(),
    st.floats(0.25, 4),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_upfirdn2d_rounds_once(n, c, h, w, up, down, padding, taps_x, taps_y, flip, gain):
    f = np.random.default_rng(1).standard_normal((taps_y, taps_x) if taps_y else taps_x).astype(np.float32)
    x = _random(0, n, c, h, w)
    fits = w * up[0] + padding[0] + padding[1] >= taps_x and h * up[1] + padding[2] + padding[3] >= (taps_y or taps_x)
    if not fits or min(padding[:2]) <= -w * up[0] or min(padding[2:]) <= -h * up[1]:
        return
    expected = exact.upfirdn2d(x, f, up, down, padding, flip, gain)
    for impl in IMPLS:
        got = ops.upfirdn2d(x, f, list(up), list(down), padding, flip, gain, impl=impl)
        _close(got, expected, BF16_ROUNDING * np.abs(expected))


@given(
    st.sampled_from(sorted(exact.ACTIVATIONS)), st.integers(0, 3), st.lists(st.integers(0, 17), min_size=1, max_size=4),
    st.integers(0, 3), st.sampled_from([None, "float32", "bfloat16"]), st.sampled_from([None, 0.0, 0.7]),
    st.sampled_from([None, 1.0, 1.7]),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_bias_act_rounds_once(act, seed, shape, dim, bias, clamp, gain):
    dim = min(dim, len(shape) - 1)
    x = (_random(seed, *shape).astype(np.float32) * 4).astype(BF16)
    b = None if bias is None else np.random.default_rng(seed + 9).standard_normal(shape[dim]).astype(np.float32)
    b = b.astype(BF16) if bias == "bfloat16" else b
    expected = exact.bias_act(x, b, dim, act, None, gain, clamp)
    for impl in IMPLS:
        _close(ops.bias_act(x, b, dim, act, None, gain, clamp, impl=impl), expected, BF16_ROUNDING * np.abs(expected))


@needs_native
def test_bias_act_of_long_rows():
    x, b = _random(0, 2, 3, 9001), _random(1, 3)
    expected = exact.bias_act(x, b, 1, "lrelu", None, None, None)
    _close(ops.bias_act(x, b, act="lrelu", impl="native"), expected, BF16_ROUNDING * np.abs(expected))
    x, b = _random(2, 2, 9001), _random(3, 9001)
    expected = exact.bias_act(x, b, 1, "swish", None, None, None)
    _close(ops.bias_act(x, b, act="swish", impl="native"), expected, BF16_ROUNDING * np.abs(expected))


def _modulated(x, weight, styles, noise, *how):
    """The float64 result, and what the roundings before the products and of the result allow it to be off."""
    expected = exact.modulated_conv2d(x, weight, styles, noise, *how)
    up, down, padding, f, demodulate, flip_weight = how
    x, weight, styles, f = (None if v is None else np.abs(v.astype(np.float64)) for v in (x, weight, styles, f))
    sums = exact.modulated_conv2d(x, weight, styles, None, up, down, padding, f, demodulate, flip_weight)
    return expected, BF16_ROUNDING * (np.abs(expected) + (1 + BF16_ROUNDING) * sums)


@given(
    st.integers(0, 3), small, st.integers(1, 6), small, sizes, st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.integers(0, 3),
    st.sampled_from([None, [1], [1, 3, 3, 1], list(range(1, 13)), "2d"]), st.booleans(), st.booleans(),
    st.integers(0, 2), st.sampled_from([np.float32, BF16]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_modulated_conv2d_any_shape(
    n, i, o, h, w, kh, kw, up, down, pad, taps, demodulate, flip_weight, noise_kind, other
):
    draw = np.random.default_rng(5)
    f = None if taps is None else draw.standard_normal((3, 2)) if taps == "2d" else ops.setup_filter(taps)
    f = f if f is None else f.astype(np.float32)
    x, weight = _random(0, n, i, h, w), _random(1, o, i, kh, kw)
    styles = (draw.standard_normal((n, i)) + 1.5).astype(other)
    how = (up, down, [pad] * 4, f, demodulate, flip_weight)
    for impl in IMPLS:
        try:
            plain = ops.modulated_conv2d(x, weight, styles, None, *how, impl=impl)
        except dsb_fast.InputError as error:
            assert "too small" in str(error)
            continue
        assert plain.dtype == BF16
        shape = ((n, 1) if noise_kind == 1 else ()) + plain.shape[2:]
        noise = None if noise_kind == 0 else draw.standard_normal(shape).astype(other)
        got = ops.modulated_conv2d(x, weight, styles, noise, *how, impl=impl)
        if n:
            _close(got, *_modulated(x, weight, styles, noise, *how))
        else:
            assert got.shape == plain.shape


STEEPEST = 1.8  # no activation multiplies an error by more: selu's slope at 0, 1.76


@given(
    st.integers(1, 3), small, st.integers(1, 6), sizes, st.sampled_from(sorted(exact.ACTIVATIONS)),
    st.sampled_from([None, 1.0, 1.7]), st.sampled_from([None, 0.7]), st.sampled_from([0.0, 1.0, -0.5]), st.booleans(),
    st.booleans(), st.booleans(), st.sampled_from([np.float32, BF16]),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_modulated_conv2d_rounds_once_behind_its_epilogue(
    n, i, o, size, act, gain, clamp, offset, demodulate, with_noise, with_gain, other
):
    draw = np.random.default_rng(6)
    x, weight = _random(0, n, i, 5, size), _random(1, o, i, 3, 3)
    styles, noise, noise_gain, bias, residual = (
        draw.standard_normal(s).astype(other) for s in ((n, i), (n, 1, 5, size), (o,), (o,), (n, o, 5, size))
    )
    noise, noise_gain = noise if with_noise else None, noise_gain if with_gain else None
    planes = None if noise is None else noise.astype(np.float64)
    if noise is not None and noise_gain is not None:
        planes = planes * noise_gain.astype(np.float64)[:, None, None]
    how = (1, 1, [1] * 4, None, demodulate, True)
    sums, allowed = _modulated(x, weight, styles.astype(np.float64) + offset, planes, *how)
    expected = exact.bias_act(sums, bias, 1, act, None, gain, clamp) + residual.astype(np.float64)
    factor = STEEPEST * (2**0.5 if gain is None else gain)
    for impl in IMPLS:
        got = ops.modulated_conv2d(
            x, weight, styles, noise, *how, noise_gain=noise_gain, bias=bias, act=act, gain=gain, clamp=clamp,
            style_offset=offset, residual=residual, impl=impl,
        )  # fmt: skip
        _close(got, expected, factor * allowed + BF16_ROUNDING * np.abs(expected))


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("offset", [1.0, -0.5])
def test_an_offset_counts_in_bfloat16_as_in_float32(offset, impl):
    x, weight, styles = _random(0, 2, 7, 6, 7), _random(1, 5, 7, 3, 3), _random(2, 2, 7).astype(np.float32)
    got = ops.modulated_conv2d(x, weight, styles, style_offset=offset, impl=impl)
    assert np.array_equal(got, ops.modulated_conv2d(x, weight, styles + np.float32(offset), impl=impl))


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize(
    ("channels", "outs", "size", "up"),
    [(512, 512, 4, 1), (512, 256, 8, 2), (512, 5, 9, 1), (255, 129, 16, 1), (65, 32, 33, 2), (16, 33, 70, 1)],
)
def test_layers_of_the_image_networks(channels, outs, size, up, impl):
    """float32 weights and styles, as checkpoints have them; activations with a bias, as behind an activation."""
    draw = np.random.default_rng(channels + size)
    x = np.maximum(draw.standard_normal((2, channels, size, size)), -0.2).astype(np.float32).astype(BF16)
    weight, styles = (draw.standard_normal(s).astype(np.float32) for s in ((outs, channels, 3, 3), (2, channels)))
    styles = styles * 0.5 + 1
    how = (up, 1, [1] * 4, ops.setup_filter([1, 3, 3, 1]) if up > 1 else None, True, True)
    expected = exact.modulated_conv2d(x, weight, styles, None, *how)
    got = ops.modulated_conv2d(x, weight, styles, None, *how, impl=impl)
    _close(got, expected, BF16_LAYER * _largest(expected))
    print(
        f"{channels} -> {outs}, {size}, up {up}: {np.abs(got.astype(float) - expected).max() / _largest(expected):.1e}"
    )


@pytest.mark.parametrize("impl", ["auto", *IMPLS])
def test_the_kind_that_goes_in_comes_out(impl):
    f, x, weight, styles = (
        ops.setup_filter([1, 3, 3, 1]),
        _random(0, 2, 3, 6, 7),
        _random(1, 5, 3, 3, 3),
        _random(2, 2, 3),
    )
    tensors = [torch.from_numpy(v.view(np.int16)).view(torch.bfloat16) for v in (x, weight, styles)]
    for call, arrays in (
        (lambda v, *_: ops.upsample2d(v, f, impl=impl), (x,)),
        (lambda v, *_: ops.bias_act(v, act="swish", impl=impl), (x,)),
        (lambda *v: ops.modulated_conv2d(*v, padding=1, impl=impl), (x, weight, styles)),
    ):
        array, tensor = call(*arrays), call(*(t.requires_grad_() for t in tensors[: len(arrays)]))
        assert isinstance(array, np.ndarray) and array.dtype == BF16
        assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.bfloat16 and not tensor.requires_grad
        assert (tensor.view(torch.int16).numpy() == array.view(np.int16)).all()
        strided = call(np.asfortranarray(arrays[0]), *arrays[1:])
        turned = call(tensors[0].transpose(2, 3).contiguous().transpose(2, 3), *tensors[1 : len(arrays)])
        assert (strided.view(np.int16) == array.view(np.int16)).all()
        assert (turned.view(torch.int16).numpy() == array.view(np.int16)).all()
        assert np.array_equal(array, call(*arrays)), "the input was written to"


@pytest.mark.parametrize("impl", ["auto", *IMPLS])
def test_float32_never_becomes_bfloat16(impl):
    x, weight, styles, b = _random(0, 2, 3, 6, 7), _random(1, 5, 3, 3, 3), _random(2, 2, 3), _random(3, 3)
    wide = [v.astype(np.float32) for v in (x, weight, styles)]
    got = ops.modulated_conv2d(wide[0], weight, styles, impl=impl)
    assert got.dtype == np.float32 and (got == ops.modulated_conv2d(*wide, impl=impl)).all()
    got = ops.bias_act(torch.from_numpy(wide[0]), torch.from_numpy(b.astype(np.float32)).bfloat16(), impl=impl)
    assert got.dtype == torch.float32
    assert (got.numpy() == ops.bias_act(wide[0], b.astype(np.float32), impl=impl)).all()
    taps = np.array([1, 3, 3, 1], BF16)
    for f in (taps, torch.tensor([1.0, 3, 3, 1]).bfloat16()):
        assert (np.asarray(ops.setup_filter(f)) == ops.setup_filter([1, 3, 3, 1])).all()
    assert ops.filter2d(wide[0], taps, impl=impl).dtype == np.float32
    with pytest.raises(dsb_fast.InputError, match="float16"):
        ops.bias_act(wide[0].astype(np.float16), impl="native")


@needs_native
def test_float32_weights_are_rounded_where_they_multiply():
    x, styles = _random(0, 2, 7, 6, 7), np.random.default_rng(1).standard_normal((2, 7)).astype(np.float32)
    weight = np.random.default_rng(2).standard_normal((5, 7, 3, 3)).astype(np.float32)
    got = ops.modulated_conv2d(x, weight, styles, impl="native")
    assert np.array_equal(got, ops.modulated_conv2d(x, weight.astype(BF16), styles, impl="native"))

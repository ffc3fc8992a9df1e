"""The GPU's convolutions and their Python module, as loops on the host: against float64, golden cases, DLPack's rules,
and dsb_fast.ops on arrays that pretend to lie on a CUDA device.
"""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import cuda_module, stylegan_ops
from references.cuda_module import FakeCuda
from tolerances import GPU_LAYER, OPS

import dsb_fast
from dsb_fast import ops
from dsb_fast import random as streams
from dsb_fast.ops import _device

pytestmark = pytest.mark.variant_independent
some = settings(max_examples=60, deadline=None)
few = settings(max_examples=25, deadline=None)
small = st.integers(1, 5)
channels = st.sampled_from([1, 2, 3, 7, 8, 9, 17])


@pytest.fixture(scope="module", autouse=True)
def module():
    return cuda_module.module()


@pytest.fixture
def on_device(module, monkeypatch):
    """dsb_fast.ops with the module, and with every torch tensor on the GPU."""
    monkeypatch.setattr(_device, "module", lambda: module)
    monkeypatch.setattr(_device, "_stream", lambda x: 0)
    real = _device.device_of
    monkeypatch.setattr(_device, "device_of", lambda x: 0 if isinstance(x, torch.Tensor) else real(x))


def _random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _close(got, expected, tolerance=OPS):
    got = got.double().numpy() if isinstance(got, torch.Tensor) else np.asarray(getattr(got, "array", got), np.float64)
    assert got.shape == expected.shape, (got.shape, expected.shape)
    if expected.size:
        error = np.abs(got - expected).max()
        assert error <= tolerance * max(np.abs(expected).max(), 1e-30), error


def _numpy(array):
    return np.from_dlpack(array)


# ---- convolutions


@given(
    st.integers(0, 3), channels, channels, st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(-1, 3), min_size=4, max_size=4),
    st.sampled_from([None, [1], [1, 3, 3, 1], list(range(1, 10)), "2d"]), st.booleans(), st.booleans(),
    st.integers(0, 2), st.sampled_from(sorted(GPU_LAYER)), st.booleans(),
)  # fmt: skip
@some
def test_modulated_conv2d_any_shape(
    n, i, o, h, w, kh, kw, up, down, padding, taps, demodulate, flip_weight, noise_kind, dtype, last
):
    """Zeros, filters and phases folded into one convolution give what the steps one after the other give."""
    f = None if taps is None else _random(5, 3, 2) if taps == "2d" else ops.setup_filter(taps)
    kind = getattr(torch, dtype)
    x, weight = (torch.from_numpy(_random(k, *shape)).to(kind) for k, shape in ((0, (n, i, h, w)), (1, (o, i, kh, kw))))
    styles = _random(2, n, i) + 1.5
    try:
        shape = ops.modulated_conv2d(
            np.zeros(x.shape, "f4"), weight.float().numpy(), styles, None, up, down, padding, f
        ).shape
    except dsb_fast.InputError as error:
        assert "too small" in str(error)
        return
    noise = None if noise_kind == 0 else _random(3, *((n, 1) if noise_kind == 1 else ()), *shape[2:])
    x = x.to(memory_format=torch.channels_last) if last and n else x
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_device, "module", cuda_module.module)
        patch.setattr(_device, "_stream", lambda x: 0)
        patch.setattr(_device, "device_of", lambda x: 0 if isinstance(x, torch.Tensor) else None)
        got = ops.modulated_conv2d(x, weight, styles, noise, up, down, padding, f, demodulate, flip_weight)
    assert got.dtype == kind
    if n:
        arrays = (x.float().numpy(), weight.float().numpy(), styles, noise)
        expected = stylegan_ops.modulated_conv2d(*arrays, up, down, padding, f, demodulate, flip_weight)
        sizes = (None if v is None else np.abs(v) for v in arrays)
        taps = None if f is None else np.abs(f)
        largest = stylegan_ops.modulated_conv2d(*sizes, up, down, padding, taps, demodulate, flip_weight).max()
        error = np.abs(got.double().numpy() - expected).max()
        assert got.shape == expected.shape and error <= GPU_LAYER[dtype] * largest, error


@given(st.integers(1, 3), channels, channels, st.integers(1, 40), st.integers(1, 25), st.integers(1, 5),
       st.integers(1, 5), st.integers(0, 13), st.integers(0, 13), st.booleans())  # fmt: skip
@some
def test_one_dimension_repeated(n, i, o, length, size, repeat, stride, before, after, last):
    """The ECG network's layers: repeat the points, pad, convolve, in float64 by indices."""
    x, weight, bias = _random(0, n, i, length), _random(1, o, i, size), _random(2, o)
    enlarged = np.pad(np.repeat(x.astype(np.float64), repeat, axis=2), ((0, 0), (0, 0), (before, after)))
    if enlarged.shape[2] < size:
        with pytest.raises(ValueError, match="a point for every tap"):
            cuda_module.module().conv(x, weight, bias, repeat, stride, [0, 0, before, after])
        return
    windows = np.lib.stride_tricks.sliding_window_view(enlarged, size, axis=2)[:, :, ::stride]
    expected = np.einsum("nitk,oik->not", windows, weight.astype(np.float64)) + bias.astype(np.float64)[:, None]
    given_x = np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1) if last else x
    got = _numpy(cuda_module.module().conv(given_x, weight, bias, repeat, stride, [0, 0, before, after], act="relu"))
    _close(got, np.maximum(expected, 0))


@given(st.integers(1, 3), channels, channels, st.integers(1, 4), st.sampled_from([1, 2]), st.booleans(), st.booleans())
@few
def test_the_epilogue(n, i, o, size, up, last, gained):
    """Noise gain, bias, activation, clamp, residual, and the next layer's style on a second result."""
    h, w = size * up, (size + 1) * up
    x, weight, styles, noise = (
        _random(0, n, i, size, size + 1),
        _random(1, o, i, 3, 3),
        _random(2, n, i),
        _random(3, h, w),
    )
    noise_gain, bias, residual, scale = (
        _random(4, o) if gained else None,
        _random(5, o),
        _random(6, n, o, h, w),
        _random(7, n, o),
    )
    f = ops.setup_filter([1, 3, 3, 1])
    padding = [1 + (up > 1) * 2, 1 + (up > 1), 1 + (up > 1) * 2, 1 + (up > 1)]
    plane = noise if noise_gain is None else noise * noise_gain[:, None, None].astype(np.float64)
    expected = stylegan_ops.modulated_conv2d(x, weight, styles + 1.0, None, up, 1, [1] * 4, f, True, True) + plane
    expected = stylegan_ops.bias_act(expected, bias, 1, "lrelu", 0.3, 1.7, 2.0) + residual
    given_x = torch.from_numpy(x).to(memory_format=torch.channels_last) if last else x
    y, scaled = cuda_module.module().modulated_conv2d(
        given_x, weight, styles, noise, up, 1, padding, f, True, True, noise_gain=noise_gain, bias=bias, act="lrelu",
        alpha=0.3, gain=1.7, clamp=2.0, style_offset=1.0, residual=residual, scale=scale,
    )  # fmt: skip
    _close(_numpy(y), expected)
    _close(_numpy(scaled), expected * scale[:, :, None, None])


def test_a_sample_does_not_depend_on_its_batch(module):
    x, weight, styles = _random(0, 5, 7, 6, 6), _random(1, 9, 7, 3, 3), _random(2, 5, 7)
    how = (None, 2, 1, [2, 1, 2, 1], ops.setup_filter([1, 3, 3, 1]), True, True)
    together = _numpy(module.modulated_conv2d(x, weight, styles, *how))
    for k in range(5):
        alone = _numpy(module.modulated_conv2d(x[k : k + 1], weight, styles[k : k + 1], *how))
        assert (alone == together[k : k + 1]).all()


def test_large_styles_stay_within_float16(module):
    """Products of 200 and 5000 are beyond float16; demodulated results are not."""
    x = torch.full((1, 4, 5, 5), 200.0, dtype=torch.float16)
    weight, styles = torch.ones(3, 4, 3, 3, dtype=torch.float16), torch.full((1, 4), 5000.0)
    y = torch.from_dlpack(module.modulated_conv2d(x, weight, styles, None, 1, 1, [0] * 4, None, True, True))
    _close(y, np.full((1, 3, 3, 3), 200.0 * 36 / 6), GPU_LAYER["float16"])


def test_nothing_in_gives_the_rest(module):
    """No input channels: zeros and what is added. No samples: nothing."""
    how = (None, 1, 1, [1] * 4, None, True, True)
    nothing, weight = np.zeros((2, 0, 4, 5), "f4"), np.zeros((3, 0, 3, 3), "f4")
    y = module.modulated_conv2d(nothing, weight, np.zeros((2, 0), "f4"), *how, bias=np.arange(3, dtype="f4"))
    assert (_numpy(y) == np.arange(3)[None, :, None, None]).all() and y.shape == (2, 3, 4, 5)
    empty = module.modulated_conv2d(_random(0, 0, 2, 4, 5), _random(1, 3, 2, 3, 3), _random(2, 0, 2), *how)
    assert empty.shape == (0, 3, 4, 5)


# ---- DLPack


@pytest.mark.parametrize("versions", [True, False], ids=["versioned", "unversioned"])
def test_arrays_go_in_and_out_with_their_strides(module, versions):
    class Old(FakeCuda):
        def __dlpack__(self, stream=None):
            return self.array.__dlpack__(stream=stream)

    base = _random(0, 6, 4, 10, 9)
    x = base[::2, 1:, ::-1, 1::3] if versions else base[::2, 1:, 2:, 1::3]
    given_x = x if versions else Old(x)
    _close(
        _numpy(module.bias_act(given_x, _random(1, 3), 1, "linear", 0.0, 1.0, -1.0)), x + _random(1, 3)[:, None, None]
    )
    y = module.upfirdn2d(given_x, [(np.ones((1, 1), "f4"), [1, 1], [1, 1], [0] * 4, 1.0)], False)
    assert (y.shape, y.ndim, y.dtype, y.__dlpack_device__()) == (x.shape, 4, "float32", (1, 0))
    assert (_numpy(y) == x).all() and (torch.from_dlpack(y).numpy() == x).all()


def test_nothing_is_kept_and_nothing_is_lost(module):
    x = np.ones((2, 3), np.float32)
    watch = weakref.ref(x)
    y = module.bias_act(x, None, 0, "linear", 0.0, 2.0, -1.0)
    y.__dlpack__()  # a capsule that nobody takes
    y.__dlpack__(max_version=(1, 0))
    view = np.from_dlpack(y)
    del x, y
    gc.collect()
    assert watch() is None
    assert (view == 2).all()


def test_a_result_goes_where_it_is_asked_to(module):
    x, out = torch.ones(2, 3), torch.zeros(2, 3)
    assert module.bias_act(x, None, 0, "linear", 0.0, 2.0, -1.0, out=out) is out
    assert (out == 2).all()
    for wrong, message in (
        (torch.zeros(3, 2), r"out is \[3, 2\], the result \[2, 3\]"),
        (torch.zeros(2, 3).half(), "out is float16, the result float32"),
        (torch.zeros(3, 2).T, "C order"),
    ):
        with pytest.raises(ValueError, match=message):
            module.bias_act(x, None, 0, "linear", 0.0, 2.0, -1.0, out=wrong)
    locked = np.zeros((2, 3), np.float32)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="can't be written"):
        module.bias_act(x, None, 0, "linear", 0.0, 2.0, -1.0, out=locked)


def test_what_is_no_array_there_is_named(module):
    class Elsewhere(FakeCuda):
        def __dlpack__(self, **_):
            return self

    tail = (None, 0, "linear", 0.0, 1.0, -1.0)
    for wrong, message in (
        ([1.0], "x is list, which has no __dlpack__; it needs an array on the CPU"),
        (np.zeros(3), "x is float64, needs float32, float16 or bfloat16"),
        (np.zeros(3, np.int32), "x is int32, needs float32"),
        (Elsewhere(np.zeros(3)), "x gives no DLPack capsule"),
    ):
        with pytest.raises(ValueError, match=message):
            module.bias_act(wrong, *tail)
    with pytest.raises(ValueError, match=r"weight is \[4, 2, 3, 3\], needs \[4, 3, 3, 3\]"):
        x, styles = np.zeros((1, 3, 5, 5), "f4"), np.zeros((1, 3), "f4")
        module.modulated_conv2d(x, np.zeros((4, 2, 3, 3), "f4"), styles, None, 1, 1, [0] * 4, None, True, True)


def test_random_numbers_have_the_contracts_bits(module):
    for shape in ([5, 3], [1], [8, 25]):
        assert (_numpy(module.philox_normal(7, 3, 4, shape, 1)) == streams.normal(7, 3, 4, shape, 1)).all()
        ours = _numpy(module.philox_uniform(2**63 + 5, 2**33, 4, shape, 0, -1.0, 2.0))
        assert (ours == streams.uniform(2**63 + 5, 2**33, 4, shape, 0, -1.0, 1.0)).all()
    out = torch.zeros(4, 5)
    assert module.philox_normal(7, 3, 4, [5], out=out) is out
    assert (out.numpy() == streams.normal(7, 3, 4, [5])).all()
    with pytest.raises(ValueError, match="another shape"):
        module.philox_normal(7, 3, 4, [6], out=out)


# ---- dsb_fast.ops


def _golden(case, arrays, name, kind):
    key, options = case["key"], dict(case["kwargs"])
    array = {k: arrays[f"{key}.{k}"] for k in ("x", "f", "b", "weight", "styles", "noise") if f"{key}.{k}" in arrays}
    array = {k: v if k == "f" else kind(v) for k, v in array.items()}
    if name == "upfirdn2d":
        return getattr(ops, case["fn"])(array["x"], array.get("f"), **options)
    if name == "bias_act":
        return ops.bias_act(array["x"], array.get("b"), **options)
    return ops.modulated_conv2d(
        array["x"], array["weight"], array["styles"], array.get("noise"), resample_filter=array.get("f"), **options
    )


@pytest.mark.parametrize("kind", [torch.from_numpy, FakeCuda], ids=["torch", "another library"])
@pytest.mark.parametrize("name", ["upfirdn2d", "bias_act", "modulated_conv2d"])
def test_golden_cases_on_the_device(name, kind, data, on_device):
    arrays, cases = np.load(data / f"ops/{name}.npz"), json.loads((data / f"ops/{name}.json").read_text())
    for case in cases:
        got = _golden(case, arrays, name, kind)
        assert type(got) is (torch.Tensor if kind is torch.from_numpy else FakeCuda)
        _close(got, arrays[f"{case['key']}.y"])


def test_what_leaves_the_device_is_the_cpus(on_device):
    signal, image = _random(0, 2, 8, 50), _random(1, 2, 3, 5, 4)
    for kind in (torch.from_numpy, FakeCuda):
        for got, expected in (
            (ops.to_microvolt(kind(signal)), ops.to_microvolt(signal)),
            (ops.to_uint8(kind(image), 127.5, 128), ops.to_uint8(image, 127.5, 128)),
        ):
            assert (getattr(got, "array", got) == expected).all()
        with pytest.raises(dsb_fast.InputError, match="not numbers"):
            ops.to_microvolt(kind(np.array([np.nan], "f4")))
    levels = ops.to_uint8(torch.from_numpy(image).to(memory_format=torch.channels_last), 127.5, 128)
    assert (levels.numpy() == ops.to_uint8(image, 127.5, 128)).all()


def test_enlarging_on_the_device(on_device):
    x = _random(0, 2, 3, 5, 4)
    for kind in (torch.from_numpy, FakeCuda):
        _close(ops.upsample_bilinear2d(kind(x)), ops.upsample_bilinear2d(x))


def test_tensors_keep_their_type_and_order(on_device):
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        x = torch.from_numpy(_random(0, 2, 3, 4, 5)).to(dtype).to(memory_format=torch.channels_last)
        y = ops.modulated_conv2d(x.requires_grad_(), torch.ones(8, 3, 3, 3), torch.ones(2, 3), padding=1)
        assert y.dtype == dtype and not y.requires_grad
        assert y.is_contiguous(memory_format=torch.channels_last) and not y.is_contiguous()
        assert (ops.bias_act(x, torch.ones(4), dim=2).detach() == x + torch.ones(4, dtype=dtype)[:, None]).all()


def test_the_stream_of_the_arrays_library_is_used(module, on_device, monkeypatch):
    seen = []

    class Recorder:
        def __getattr__(self, name):
            return lambda *args, stream, **rest: seen.append((name, stream)) or getattr(module, name)(*args, **rest)

    monkeypatch.setattr(_device, "module", Recorder)
    monkeypatch.setattr(_device, "_stream", lambda x: 77)
    ops.bias_act(torch.ones(3))
    assert seen == [("bias_act", 77)]


def test_torch_compile_gets_torch_operators(on_device, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(_device, "call", None)
    assert (ops.bias_act(torch.tensor([-1.0, 2.0]), act="relu", gain=1) == torch.tensor([0.0, 2.0])).all()


def test_filters_are_fetched_once_a_tensor(on_device, monkeypatch):
    f, x = torch.ones(3), torch.ones(1, 1, 8, 8)
    fetched = []
    real = _device.arguments.as_array
    monkeypatch.setattr(_device.arguments, "as_array", lambda *a: fetched.append(a[1]) or real(*a))
    first = ops.upfirdn2d(x, f)
    assert (ops.upfirdn2d(x, f) == first).all() and len(fetched) == 1
    f.mul_(2)
    assert (ops.upfirdn2d(x, f) == 4 * first).all() and len(fetched) == 2


def test_without_the_module_tensors_go_to_torch_and_others_are_told(on_device, monkeypatch):
    monkeypatch.setattr(_device, "module", lambda: None)
    x = torch.tensor([[-1.0, 2.0]])
    assert (ops.bias_act(x, act="relu", gain=1) == torch.tensor([[0.0, 2.0]])).all()
    with pytest.raises(dsb_fast.InputError, match=r"not built .*; impl 'torch' works"):
        ops.bias_act(x, impl="native")
    with pytest.raises(dsb_fast.InputError, match=r"on CUDA device 0 and no torch tensor, and .* not built"):
        ops.bias_act(FakeCuda(np.ones(3, "f4")))


def test_what_can_not_be_done_on_the_device_is_named(on_device):
    image = np.ones((1, 2, 4, 4), "f4")
    for call, message in (
        (lambda: ops.blur2d(FakeCuda(image)), "the operator has no CUDA kernel"),
        (lambda: ops.bias_act(FakeCuda(np.ones(3))), "x is float64, the CUDA kernels work in"),
        (lambda: ops.bias_act(FakeCuda(image), impl="torch"), "impl is 'torch'; one works"),
        (lambda: ops.bias_act(image, FakeCuda(np.ones(2, "f4"))), "b is on a CUDA device and x is not"),
        (
            lambda: ops.upfirdn2d(FakeCuda(image), FakeCuda(np.ones((2, 2), "f4"))),
            "f is on a CUDA device; it needs a host",
        ),
        (
            lambda: ops.modulated_conv2d(
                FakeCuda(image), np.ones((2, 2, 3, 3), "f4"), np.ones((1, 2), "f4"), products="bfloat16"
            ),
            "x is on a CUDA device",
        ),
    ):
        with pytest.raises(dsb_fast.InputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


# ---- packed weights


@pytest.mark.parametrize("up, down, taps", [(1, 1, None), (2, 1, [1, 3, 3, 1]), (1, 2, [1, 2, 1])])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_weight_that_is_packed_once_gives_the_same_bits(on_device, up, down, taps, dtype):
    x, styles = torch.from_numpy(_random(0, 2, 5, 9, 8)).to(dtype), _random(2, 2, 5)
    weight = torch.from_numpy(_random(1, 7, 5, 3, 3))
    f = None if taps is None else ops.setup_filter(taps)
    kept, how = ops.PackedWeight(weight), {"up": up, "down": down, "padding": 1, "resample_filter": f}
    for demodulate in (True, False):
        expected = ops.modulated_conv2d(x, weight, styles, demodulate=demodulate, **how)
        for _ in range(2):
            assert torch.equal(ops.modulated_conv2d(x, kept, styles, demodulate=demodulate, **how), expected)
    before = ops.modulated_conv2d(x[:1], kept, styles[:1], **how)
    weight[...] = 0  # what was packed is packed
    assert torch.equal(ops.modulated_conv2d(x[:1], kept, styles[:1], **how), before)
    changed = ops.modulated_conv2d(x[:1], kept, styles[:1], **(how | {"padding": 2}))
    assert not changed.count_nonzero()  # another use is packed when it is first met


def test_a_packed_weight_is_for_its_own_use(module):
    x, weight = _random(0, 1, 2, 4, 4), _random(1, 3, 2, 3, 3)
    kept = module.PackedWeight(weight, x, 1, 1, [1, 1, 1, 1], None, True, True)
    assert kept.shape == [3, 2, 3, 3]
    styles = _random(2, 1, 2)
    for image, padding in ((x.astype(np.float16), 1), (x, 2)):
        with pytest.raises(ValueError, match="weight was packed for another device, type of x, resampling or padding"):
            module.modulated_conv2d(image, kept, styles, None, 1, 1, [padding] * 4, None, True, True)
    with pytest.raises(dsb_fast.InputError, match=r"^PackedWeight: weight is \[3\], needs \[out, in, h, w\]"):
        ops.PackedWeight(np.ones(3))


def test_a_packed_weight_elsewhere_is_the_weight():
    x, weight, styles = _random(0, 1, 2, 4, 4), _random(1, 3, 2, 3, 3), _random(2, 1, 2)
    made = ops.modulated_conv2d(x, ops.PackedWeight(weight), styles, padding=1)
    np.testing.assert_array_equal(made, ops.modulated_conv2d(x, weight, styles, padding=1))


# ---- addresses


def _shifted(array, by):
    """The same values, ``by`` elements behind an aligned address."""
    room = np.zeros(array.size + 64, array.dtype)
    first = -room.ctypes.data % 64 // array.itemsize + by
    made = room[first : first + array.size].reshape(array.shape)
    made[...] = array
    return made


@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("by", range(8))
def test_wide_accesses_are_at_aligned_addresses_alone(module, kind, by):
    """The host build throws where a device would stop: arrays and results may begin at any element."""
    x, taps = _random(0, 2, 8, 8, 8).astype(kind), np.ones((4, 4), np.float32)
    single, out = x[:, :1].copy(), np.zeros((2, 8, 16, 16), kind)
    step = [(taps, [1, 1], [1, 1], [2, 1, 2, 1], 1.0)]
    calls = {
        "upfirdn2d": lambda at, to: module.upfirdn2d(at(x), step, True, out=to(np.zeros_like(x))),
        "upsample": lambda at, to: module.upsample_bilinear2d(at(x), out=to(out)),
        "upsample single": lambda at, to: module.upsample_bilinear2d(at(single), out=to(out[:, :1].copy())),
        "bias_act": lambda at, to: module.bias_act(
            at(x), at(_random(1, 8)), 1, "relu", 0.0, 1.0, -1.0, out=to(np.zeros_like(x))
        ),
        "microvolt": lambda at, to: module.to_microvolt(at(x), 100.0, out=to(np.zeros(x.shape, np.int16))),
        "uint8": lambda at, to: module.to_uint8(
            at(x[:, :3].copy()), 100.0, 99.0, out=to(np.zeros((2, 8, 8, 3), np.uint8))
        ),
        "philox": lambda at, to: module.philox_normal(1, 2, 3, [8], out=to(np.zeros((3, 8), np.float32))),
    }
    for name, call in calls.items():
        expected = _numpy(call(lambda v: v, lambda v: v)).copy()
        for read, made in ((by, 0), (0, by), (by, by)):
            got = call(lambda v, n=read: _shifted(v, n), lambda v, n=made: _shifted(v, n))
            np.testing.assert_array_equal(_numpy(got), expected, err_msg=name)


def test_layers_that_no_launch_holds_are_refused(module):
    x, weight = _random(0, 1, 1, 1, 1), _random(1, 1, 1, 300, 300)
    with pytest.raises(ValueError, match=r"up is 300 x 300 .* a GPU takes 255 x 255"):
        module.modulated_conv2d(x, weight, None, None, 300, 1, [0, 0, 0, 0], None, False, True)

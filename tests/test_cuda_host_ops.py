"""The GPU's operators as loops on the host: their arithmetic and index arithmetic against float64, for every layout,
type and size; the bits of the contract where it promises them.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from references import cuda_host, layers, philox, stylegan_ops
from references.arrays import close, identical, random
from tolerances import GPU_STORED, OPS

from dsb_fast import ops
from dsb_fast import random as streams

pytestmark = pytest.mark.variant_independent
few = settings(max_examples=25, deadline=None)
TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
_TYPE = st.sampled_from(sorted(TYPES))
_LAYOUT = st.sampled_from(["NHWC", "NCHW"])
_CHANNELS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 16, 24])
_SIZES = st.integers(1, 9) | st.sampled_from([10, 16, 17, 18])


@pytest.fixture(scope="module", autouse=True)
def _library():
    return cuda_host.library()


def _stored(seed: int, kind: str, *shape: int) -> np.ndarray:
    return random(seed, *shape).astype(TYPES[kind])


def _laid(x: np.ndarray, layout: str) -> np.ndarray:
    """[N, C, H, W] as ``layout`` has it."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout == "NHWC" else x


def _plain(y: np.ndarray, layout: str) -> np.ndarray:
    return np.moveaxis(y, -1, 1) if layout == "NHWC" else y


def _double(x: np.ndarray) -> np.ndarray:
    return np.asarray(x).astype(np.float64)


def _kind(x: np.ndarray) -> int:
    kinds = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
    return kinds[x.dtype.name]


def _is_stored(y: np.ndarray, kind: str) -> None:
    """bfloat16 comes as float32 whose values it has."""
    assert y.dtype == (np.float32 if kind == "bfloat16" else TYPES[kind])
    assert (y.astype(TYPES[kind]).astype(y.dtype) == y).all()


@st.composite
def _epilogues(draw):
    """Inputs [N, C, H, W] and so on, by name; None for what is left out; any but one kind of them with one sample."""
    n, c, h, w, kind = draw(st.integers(1, 3)), draw(_CHANNELS), draw(_SIZES), draw(_SIZES), draw(_TYPE)
    rows = st.sampled_from([1, n])

    def small(seed, *shape):
        return draw(st.none() | _TYPE.map(lambda t: _stored(seed, t, *shape)))

    inputs = {
        "x": _stored(0, kind, draw(rows), c, h, w),
        "demodulation": small(1, draw(rows), c),
        "plane": small(2, draw(rows), h, w),
        "plane_weight": small(3, draw(st.sampled_from([1, c]))),
        "bias": small(4, c),
        "residual": draw(st.none() | rows.map(lambda r: _stored(5, kind, r, c, h, w))),
        "scale": small(6, draw(rows), c),
    }
    how = {
        "act": draw(st.sampled_from(sorted(stylegan_ops.ACTIVATIONS))),
        "clamp": draw(st.sampled_from([-1.0, 0.0, 0.5])),
    }
    return inputs, how, draw(_LAYOUT)


def _epilogue(inputs, how):
    """Its formula, in float64 on [N, C, H, W]."""
    given = {name: None if v is None else _double(v) for name, v in inputs.items()}
    v = given["x"]
    if given["demodulation"] is not None:
        v = v * given["demodulation"][:, :, None, None]
    if given["plane"] is not None:
        weight = np.ones(1) if given["plane_weight"] is None else given["plane_weight"]
        v = v + given["plane"][:, None] * weight[None, :, None, None]
    v = stylegan_ops.bias_act(v, given["bias"], 1, how["act"], None, None, None if how["clamp"] < 0 else how["clamp"])
    y = v if given["residual"] is None else v + given["residual"]
    return y, None if given["scale"] is None else y * given["scale"][:, :, None, None]


@few
@given(_epilogues())
def test_epilogue(case):
    inputs, how, layout = case
    x, kind = inputs["x"], inputs["x"].dtype.name
    laid = inputs | {k: None if inputs[k] is None else _laid(inputs[k], layout) for k in ("x", "residual")}
    y, scaled = _epilogue(inputs, how)
    both = inputs["scale"] is not None
    got = cuda_host.run("Epilogue", laid, [_kind(x)] * (1 + both), layout=layout, **how)
    largest = np.abs(y).max() if scaled is None else max(np.abs(y).max(), np.abs(scaled).max())
    for made, expected in zip(got, (y, scaled), strict=False):
        _is_stored(made, kind)
        plain = _plain(made, layout)
        close(
            plain, np.broadcast_to(expected, plain.shape), GPU_STORED[kind], of=max(largest, np.abs(_double(x)).max())
        )
    if both:
        alone = cuda_host.run("Epilogue", laid, layout=layout, only_scaled=1, **how)[0]
        identical(alone, got[1])


@few
@given(st.integers(1, 3), _CHANNELS, _SIZES, _TYPE, _LAYOUT, st.booleans())
def test_scale_channels(n, c, size, kind, layout, shared):
    x, scale = _stored(0, kind, 1 if shared else n, c, size, 3), _stored(1, "float32", n, c)
    got = cuda_host.run("ScaleChannels", {"x": _laid(x, layout), "scale": scale}, layout=layout)[0]
    _is_stored(got, kind)
    close(_plain(got, layout), _double(x) * _double(scale)[:, :, None, None], GPU_STORED[kind])


@few
@given(st.integers(1, 3), _CHANNELS, _SIZES, _SIZES, _TYPE, _LAYOUT, st.sampled_from([None, 1, 3]))
def test_upsample_bilinear2d(n, c, h, w, kind, layout, scales):
    n = n if scales in (None, 1) else scales
    x, scale = _stored(0, kind, n, c, h, w), None if scales is None else _stored(1, "float32", scales, c)
    got = cuda_host.run("UpsampleBilinear2d", {"x": _laid(x, layout), "scale": scale}, layout=layout)[0]
    _is_stored(got, kind)
    expected = layers.upsample_bilinear2d(_double(x))
    expected = expected if scale is None else expected * _double(scale)[:, :, None, None]
    close(_plain(got, layout), expected, GPU_STORED[kind])


_BLUR = np.array([1, 3, 3, 1], np.float32) / 8
_FILTERS = {
    "strips": _BLUR,  # four taps an axis
    "strips2d": np.outer(_BLUR, _BLUR),
    "three": np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16,
    "row": np.array([[0.5, -0.25, 1.0, 2.0, 0.125]], np.float32),
    "column": np.array([[1.0], [2.0]], np.float32),
    "long": random(1, 11),
    "uneven": np.outer(random(1, 3), [1.0, 2.0, -4.0, 0.5, 0.25]).astype(np.float32),
    "full": random(2, 3, 5),
    "none": np.ones((1, 1), np.float32),
}


@st.composite
def _resamplings(draw):
    factors = st.sampled_from([[1, 1], [2, 2]]) | st.lists(st.integers(1, 3), min_size=2, max_size=2)
    padding = [
        p + 11 if k % 2 else p - 1 for k, p in enumerate(draw(st.lists(st.integers(0, 6), min_size=4, max_size=4)))
    ]
    up = draw(factors)
    down = draw(factors) if up == [1, 1] or draw(st.booleans()) else [1, 1]
    return {"up": up, "down": down, "padding": padding, "flip_filter": draw(st.integers(0, 1)), "gain": 1.5}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2), _CHANNELS, _SIZES, _SIZES, _TYPE, _LAYOUT, st.sampled_from(sorted(_FILTERS)), _resamplings()
)  # fmt: skip
def test_upfirdn2d(n, c, h, w, kind, layout, name, how):
    x, taps = _stored(0, kind, n, c, h, w), _FILTERS[name]
    got = cuda_host.run("Upfirdn2d", {"x": _laid(x, layout), "taps": taps}, layout=layout, **how)[0]
    _is_stored(got, kind)
    expected = stylegan_ops.upfirdn2d(_double(x), taps, **how)
    full = taps if taps.ndim == 2 else np.outer(taps, taps)
    close(_plain(got, layout), expected, GPU_STORED[kind], of=1.5 * np.abs(full).sum() * np.abs(_double(x)).max())


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("shape", [(1, 72, 35, 9), (2, 3, 40, 70)])
@pytest.mark.parametrize("factors", [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_upfirdn2d_across_tiles_and_strips(layout, shape, factors):
    x, (up, down) = random(0, *shape), factors
    for taps in (_BLUR, random(2, 21)):
        half = len(taps) // 2
        how = {"up": [up] * 2, "down": [down] * 2, "padding": [half, half + 1, half, half], "gain": 2.0}
        got = cuda_host.run("Upfirdn2d", {"x": _laid(x, layout), "taps": taps}, layout=layout, **how)[0]
        expected = ops.upfirdn2d(x.astype(np.float64), taps.astype(np.float64), impl="torch", **how)
        close(_plain(got, layout), expected, OPS, of=2 * np.abs(taps).sum() ** 2 * np.abs(x).max())


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("how", [{"up": [2, 2], "padding": [2, 1, 2, 1]}, {"padding": [1, 2, 1, 2]}, {"down": [2, 2]}])
def test_upfirdn2d_reads_nothing_that_it_does_not_need(layout, how):
    """An infinite value reaches its neighbours' results as it does in a filter's definition, and no others."""
    x = random(0, 1, 8, 12, 12)
    x[0, :, 5, 6] = np.inf
    got = cuda_host.run("Upfirdn2d", {"x": _laid(x, layout), "taps": _BLUR}, layout=layout, **how)[0]
    bad = ~np.isfinite(_plain(got, layout))
    marks = np.zeros_like(x)
    marks[0, :, 5, 6] = 1
    reached = stylegan_ops.upfirdn2d(
        marks, _BLUR, how.get("up", (1, 1)), how.get("down", (1, 1)), how.get("padding", (0,) * 4), False, 1
    )
    assert (bad == (reached != 0)).all()


@few
@given(
    st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(0, 3), st.integers(1, 9), st.integers(1, 21),
    st.integers(0, 4), st.booleans(), st.sampled_from([(-1.0, 1.0), (0.0, 1.0), (0.0, 2.0**-110)]),
)  # fmt: skip
def test_philox_has_the_bits_of_the_contract(seed, start, count, channels, length, stream, last, limits):
    numbers = {"seed": np.uint64(seed), "start": np.int64(start), "count": np.int64(count)}
    how = {"shape": [channels, length], "stream": stream, "channels_last": int(last)}
    low, high = limits
    expected = {
        "PhiloxUniform": streams.uniform(seed, start, count, (channels, length), stream, low, high),
        "PhiloxNormal": streams.normal(seed, start, count, (channels, length), stream),
    }
    for op, drawn in expected.items():
        values = np.ascontiguousarray(drawn.swapaxes(1, 2)) if last else drawn
        more = {"low": low, "high": high} if op == "PhiloxUniform" else {}
        identical(cuda_host.run(op, numbers, [TensorProto.FLOAT], **how, **more)[0], values)
        device = {name: np.atleast_1d(numbers[name]) for name in ("seed", "start")}
        got = cuda_host.run(f"{op}Device", device, [TensorProto.FLOAT], count=count, **how, **more)[0]
        identical(got, values)


def test_philox_answers_are_the_published_ones():
    numbers = {"seed": np.uint64(0), "start": np.int64(0), "count": np.int64(1)}
    got = cuda_host.run("PhiloxUniform", numbers, [TensorProto.FLOAT], shape=[4])[0]
    words = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8], np.uint32)
    assert (got[0] == (words >> 8).astype(np.float32) * np.float32(2**-24)).all()


def test_many_normal_numbers_have_the_cpu_s_bits_and_a_libm_s_values():
    numbers = {"seed": np.uint64(3), "start": np.int64(2**33), "count": np.int64(4)}
    got = cuda_host.run("PhiloxNormal", numbers, [TensorProto.FLOAT], shape=[1_000_003])[0]
    identical(got, streams.normal(3, 2**33, 4, (1_000_003,)))
    expected = philox.normal(3, 2**33, 0, 4001)
    assert (got[0, :4001] == expected).mean() > 0.999
    np.testing.assert_allclose(got[0, :4001], expected, rtol=2e-7, atol=0)


@few
@given(st.integers(1, 3), st.sampled_from([1, 3, 8]), st.sampled_from([1, 7, 8, 9, 40, 50]), _TYPE, st.booleans())
def test_to_microvolt(n, c, length, kind, last):
    signal = 2 * _stored(0, kind, n, c, length)
    signal[0, 0, 0] = np.inf  # saturates
    laid = np.ascontiguousarray(signal.swapaxes(1, 2)) if last else signal
    types = [TensorProto.INT16, TensorProto.INT32]
    how = {"scale": 20000.0, "channels_last": int(last)}
    got, bad = cuda_host.run("ToMicrovolt", {"signal": laid}, types, **how)
    identical(got, ops.to_microvolt(signal.astype(np.float32), 20000.0))
    assert bad.tolist() == [0]
    laid[-1, -1, -1] = np.nan
    got, bad = cuda_host.run("ToMicrovolt", {"signal": laid}, types, **how)
    assert bad.tolist() == [1] and got[-1, -1, -1] == 0
    identical(cuda_host.run("ToMicrovolt", {"signal": laid}, types[:1], **how)[0], got)


def test_to_microvolt_of_the_graphs_layout():
    signal = random(0, 2, 1, 40, 8)
    got = cuda_host.run("ToMicrovolt", {"signal": signal}, [TensorProto.INT16], scale=6000.0, channels_last=1)[0]
    identical(got, ops.to_microvolt(np.ascontiguousarray(signal[:, 0].swapaxes(1, 2)), 6000.0))


@few
@given(st.integers(1, 3), st.integers(1, 5), _SIZES, _SIZES, _TYPE, _LAYOUT)
def test_to_uint8(n, c, h, w, kind, layout):
    image = _stored(0, kind, n, c, h, w)
    laid, types = _laid(image, layout), [TensorProto.UINT8, TensorProto.INT32]
    how = {"scale": 127.5, "offset": 128.0, "layout": layout}
    got, bad = cuda_host.run("ToUint8", {"image": laid}, types, **how)
    identical(got, ops.to_uint8(image.astype(np.float32), 127.5, 128.0))
    assert bad.tolist() == [0]
    laid[0, 0, 0, 0] = laid[-1, -1, -1, -1] = np.nan
    assert cuda_host.run("ToUint8", {"image": laid}, types, **how)[1].tolist() == [1 + (laid.size > 1)]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_storing_rounds_to_the_nearest(kind):
    """Every value of the type comes back as it is, and float32 values around them as numpy rounds them."""
    kept = np.arange(65536, dtype=np.uint16).view(TYPES[kind])
    kept = kept[np.isfinite(kept.astype(np.float32))].reshape(1, 1, -1)
    one = np.ones((1, kept.shape[2]), np.float32)
    same = cuda_host.run("ScaleChannels", {"x": kept, "scale": one})[0]
    identical(same, kept.astype(same.dtype))
    with np.errstate(over="ignore"):
        for factor in (1.0009765, 0.99951171875, 1.00048828125, 0.001, 40.0):  # among them ties, denormals, overflows
            scale = np.full_like(one, factor)
            got = cuda_host.run("ScaleChannels", {"x": kept, "scale": scale})[0]
            expected = (kept.astype(np.float32) * scale).astype(TYPES[kind])
            identical(got, expected.astype(got.dtype))


def test_empty_tensors_make_empty_ones():
    x, none = np.zeros((0, 4, 4, 8), np.float32), np.zeros((0, 8), np.float32)
    assert cuda_host.run("Epilogue", {"x": x, "demodulation": none})[0].shape == x.shape
    assert cuda_host.run("UpsampleBilinear2d", {"x": x})[0].shape == (0, 8, 8, 8)
    assert cuda_host.run("Upfirdn2d", {"x": x, "taps": _BLUR}, padding=[2, 1, 2, 1])[0].shape == x.shape
    assert cuda_host.run("ToUint8", {"image": x}, [TensorProto.UINT8], scale=1.0, offset=0.0)[0].shape == x.shape
    assert cuda_host.run("ToMicrovolt", {"signal": x}, [TensorProto.INT16], scale=1.0)[0].shape == (0, 4, 32)


_X = random(0, 2, 4, 4, 8)


@pytest.mark.parametrize(
    ("op", "inputs", "how", "words"),
    [
        ("Epilogue", {"x": _X, "demodulation": _X[0, 0, :3]}, {}, ["demodulation", "[3, 8]", "[N, C]"]),
        ("Epilogue", {"x": _X, "demodulation": random(0, 3, 8)}, {}, ["demodulation", "N of 2"]),
        ("Epilogue", {"x": _X, "d": None, "plane": _X[0, 0, :3]}, {}, ["plane", "[N, H, W]"]),
        ("Epilogue", {"x": _X, "d": None, "p": None, "plane_weight": _X[0, 0, 0, :3]}, {}, ["plane_weight", "[8]"]),
        ("Epilogue", {"x": _X, "d": None, "p": None, "w": None, "bias": _X[0, 0, 0, :3]}, {}, ["bias", "[C]"]),
        ("Epilogue", {"x": _X}, {"act": "sine"}, ["act", "sine", "lrelu"]),
        ("Epilogue", {"x": _X}, {"layout": "CHWN"}, ["layout", "NHWC"]),
        ("Epilogue", {"x": _X}, {"only_scaled": 1}, ["scaled", "scale"]),
        ("ScaleChannels", {"x": _X, "scale": random(0, 2, 5)}, {}, ["scale", "[2, 5]"]),
        ("UpsampleBilinear2d", {"x": _X[0]}, {}, ["x is [4, 4, 8]", "[N, H, W, C]"]),
        ("Upfirdn2d", {"x": _X, "taps": random(0, 40, 40)}, {"padding": [40] * 4}, ["1600 taps", "576"]),
        ("Upfirdn2d", {"x": _X, "taps": random(0, 9)}, {}, ["too small"]),
        ("Upfirdn2d", {"x": _X, "taps": _BLUR}, {"padding": [1 << 20] * 4}, ["padding"]),
        ("ToUint8", {"image": _X}, {"scale": 1.0}, ["offset", "missing"]),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_one_line(op, inputs, how, words):
    types = [TensorProto.UINT8] if op == "ToUint8" else None
    with pytest.raises(Exception, match=op) as raised:
        cuda_host.run(op, inputs, types, **how)
    line = next(line for line in str(raised.value).splitlines() if op in line)
    assert all(word in line for word in words), line


def test_a_sample_is_the_same_in_any_batch():
    x, d = _stored(0, "float16", 5, 6, 6, 8), random(1, 5, 8)
    for op, extra in (("Epilogue", {"demodulation": d}), ("UpsampleBilinear2d", {"scale": d}), ("Upfirdn2d", {})):
        rest = {"taps": _BLUR} if op == "Upfirdn2d" else extra
        whole = cuda_host.run(op, {"x": x, **rest})[0]
        one = cuda_host.run(op, {"x": x[3:4], **{k: v if k == "taps" else v[3:4] for k, v in rest.items()}})[0]
        assert one.tobytes() == whole[3:4].tobytes()

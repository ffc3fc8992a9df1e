"""A layer of the ECG network in bfloat16: weights and input rounded, float32 sums, against float64."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import BF16_LAYER, BF16_ROUNDING, OPS

import dsb_fast
from dsb_fast import DeviceError, _fused, _kernels, random
from dsb_fast._models.ecg_source import open_source

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")


def _largest(values):
    return max(np.abs(values).max(), 1e-30) if values.size else 1e-30


def _conv1d(x, weight, bias, stride, repetition, padding):
    """The sums of repeat, pad, correlate; float64, window by window."""
    x = np.pad(np.repeat(x.astype(np.float64), repetition, axis=2), ((0, 0), (0, 0), (padding, padding)))
    starts = range(0, x.shape[2] - weight.shape[2] + 1, stride)
    windows = [np.einsum("nct,oct->no", x[:, :, s : s + weight.shape[2]], weight.astype(np.float64)) for s in starts]
    return np.stack(windows, 2) + bias[None, :, None]


@given(
    st.sampled_from([0, 1, 2, 15, 16, 17, 33]), st.integers(1, 11), st.integers(1, 13),
    st.sampled_from([1, 2, 5, 8, 25]), st.sampled_from([(1, 1), (2, 1), (5, 1), (1, 2), (1, 3), (1, 5)]),
    st.integers(0, 13), st.integers(1, 40), st.sampled_from(["linear", "relu", "lrelu", "tanh"]), st.integers(0, 5),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_conv1d_layer(count, rows, columns, taps, factors, padding, length, activation, seed):
    stride, repetition = factors
    if length * repetition + 2 * padding < taps:
        return
    draw = np.random.default_rng(seed)
    x, weight, bias = (
        draw.standard_normal(s).astype(np.float32) for s in ((count, columns, length), (rows, columns, taps), rows)
    )
    layer = (weight, bias, stride, repetition, padding, activation, 0.01, "bfloat16")
    got, sums = _kernels.native.conv1d(x, layer), _conv1d(x, *layer[:5])
    functions = {"linear": lambda v: v, "relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}
    expected = np.where(sums < 0, sums * 0.01, sums) if activation == "lrelu" else functions[activation](sums)
    assert got.dtype == np.float32 and got.shape == expected.shape
    # Of every product both factors are rounded; no activation here makes a difference larger.
    terms = _conv1d(np.abs(x), np.abs(weight), 0 * bias, *layer[2:5])
    allowed = (2 * BF16_ROUNDING + BF16_ROUNDING**2) * terms + OPS * (_largest(terms) + _largest(bias))
    assert (np.abs(got - expected) <= allowed).all()
    if count > 1:  # alone and in a group
        assert (_kernels.native.conv1d(x[1:2], layer)[0] == got[1]).all()


@pytest.mark.parametrize(
    ("columns", "rows", "stride", "repetition", "length"),
    [(8, 10, 2, 1, 5000), (50, 150, 5, 1, 250), (250, 250, 1, 5, 2), (101, 21, 1, 5, 500)],
)
def test_layers_of_the_ecg_network(columns, rows, stride, repetition, length):
    draw = np.random.default_rng(columns)
    x, bias = draw.standard_normal((3, columns, length)).astype(np.float32), np.zeros(rows, np.float32)
    weight = (draw.standard_normal((rows, columns, 25)) / np.sqrt(25 * columns)).astype(np.float32)
    got = _kernels.native.conv1d(x, (weight, bias, stride, repetition, 12, "linear", 0.0, "bfloat16"))
    expected = _conv1d(x, weight, bias, stride, repetition, 12)
    error = np.abs(got - expected).max() / _largest(expected)
    print(f"{columns} -> {rows}, stride {stride}, repetition {repetition}: {error:.1e}")
    assert error <= BF16_LAYER
    if repetition == 1:  # without folding, the products of rounded numbers are exact
        x, weight = (v.astype(ml_dtypes.bfloat16).astype(np.float32) for v in (x, weight))
        got = _kernels.native.conv1d(x, (weight, bias, stride, repetition, 12, "linear", 0.0, "bfloat16"))
        expected = _conv1d(x, weight, bias, stride, repetition, 12)
        assert np.abs(got - expected).max() <= OPS * _largest(expected)


def test_bfloat16_fails_the_acceptance_test_of_the_ecg_and_is_refused():
    """At most 0.5 microvolt rms and 10 at any value from float32 would be accepted; the model card says so."""
    if _kernels.active_variant() != "scalar":  # bfloat16 layers need a sample a lane, and scalar has one lane
        network = open_source(None).network
        noise = random.uniform(0, 0, 16, (8, 5000), low=-1.0, high=1.0)
        rounded = _kernels.native.Pulse2PulseNetwork(_fused.layers(network, "bfloat16")).run(noise)
        error_uv = (rounded - _fused.compile_network(network).run(noise)) * 6000
        assert float((error_uv**2).mean() ** 0.5) > 0.5 and np.abs(error_uv).max() > 1000
    for device in ("auto", "cpu", "openvino"):
        with pytest.raises(DeviceError, match=r"precision bf16: cardiovascular.ecg fails .*microvolts.*fp32 works"):
            dsb_fast.load("cardiovascular.ecg", device=device, precision="bf16")

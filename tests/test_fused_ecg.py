"""The ECG network on the compiled kernels: layers against float64, golden parity, the same bits however it is run.

Statistics over many samples: tests/test_ecg_model.py.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from dsb_fast.export import pulse2pulse, reference, torch_file
from hypothesis import given, settings
from hypothesis import strategies as st
from references import variants
from references.make_checkpoint import state_dict
from tolerances import CONV1D, ECG_EQUAL_SHARE, ECG_LARGEST, ECG_RMS, ECG_SIGNAL

from dsb_fast import _fused, _kernels, random
from dsb_fast._models.ecg_source import published_checkpoint

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")


@pytest.fixture(scope="module")
def published():
    return pulse2pulse.from_tree(torch_file.load(published_checkpoint())[0])


@pytest.fixture(scope="module")
def compiled(published):
    return _fused.compile_network(published)


def _conv1d(x, weight, bias, stride, repetition, padding, activation, slope):
    """Repeat, pad, correlate, activate; float64, window by window."""
    x = np.repeat(x.astype(np.float64), repetition, axis=2)
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
    taps = weight.shape[2]
    starts = range(0, x.shape[2] - taps + 1, stride)
    y = np.stack([np.einsum("nct,oct->no", x[:, :, s : s + taps], weight.astype(np.float64)) for s in starts], 2)
    y = y + bias[None, :, None]
    functions = {"linear": lambda v: v, "relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}
    return np.where(y < 0, y * slope, y) if activation == "lrelu" else functions[activation](y)


MOST_TAPS = {"direct": 99, "toom4x5": 5, "toom6x5": 5, "toom12x13": 13}  # of a filter


@given(
    st.sampled_from([0, 1, 2, 15, 16, 17, 33]), st.integers(1, 11), st.integers(1, 13),
    st.sampled_from([1, 2, 5, 8, 25]),
    st.sampled_from([(1, 1), (2, 1), (5, 1), (1, 2), (1, 3), (1, 5)]), st.integers(0, 13), st.integers(1, 40),
    st.sampled_from(["linear", "relu", "lrelu", "tanh"]), st.integers(0, 5), st.sampled_from(list(MOST_TAPS)),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_layer(count, rows, columns, taps, factors, padding, length, activation, seed, algorithm):
    stride, repetition = factors
    if length * repetition + 2 * padding < taps:
        return
    if -(-taps // max(factors)) > MOST_TAPS[algorithm] or (algorithm != "direct" and repetition == 3):
        algorithm = "direct"
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((count, columns, length)).astype(np.float32)
    weight = draw.standard_normal((rows, columns, taps)).astype(np.float32)
    bias = draw.standard_normal(rows).astype(np.float32)
    layer = (weight, bias, stride, repetition, padding, activation, 0.01, algorithm)
    got, expected = _kernels.native.conv1d(x, layer), _conv1d(x, *layer[:-1])
    assert got.shape == expected.shape
    if expected.size:
        largest = np.abs(weight).sum((1, 2)).max() * np.abs(x).max() + np.abs(bias).max()
        assert np.abs(got - expected).max() <= CONV1D[algorithm] * largest
    assert (_kernels.native.conv1d(x, layer, "channels").view(np.int32) == got.view(np.int32)).all()
    if count > 1:  # alone and in a group
        assert (_kernels.native.conv1d(x[1:2], layer)[0] == got[1]).all()


def _bad(weight=(2, 3, 5), bias=2, stride=1, repetition=1, padding=0, activation="relu", algorithm="direct"):
    return np.ones(weight), np.ones(bias), stride, repetition, padding, activation, 0.0, algorithm


@pytest.mark.parametrize(
    "layer",
    [
        _bad(stride=2, repetition=2), _bad(bias=3), _bad(stride=0), _bad(padding=-1), _bad(activation="gelu"),
        _bad((2, 3, 50)), _bad((2, 4, 5)), _bad(algorithm="fft"), _bad((2, 3, 6), algorithm="toom4x5"),
        _bad((2, 3, 14), padding=9, algorithm="toom12x13"), _bad(repetition=3, algorithm="toom4x5"),
    ],
)  # fmt: skip
def test_layers_that_are_none_are_refused(layer):
    with pytest.raises(ValueError, match="conv1d"):
        _kernels.native.conv1d(np.ones((1, 3, 9), np.float32), layer)


def test_golden_parity(compiled, data):
    golden = np.load(data / "ecg/ecg.npz")
    signal = compiled.run(golden["noise"])
    assert np.abs(signal - golden["out"]).max() <= ECG_SIGNAL
    difference = np.abs((signal * np.float32(6000)).astype(np.int16).astype(int) - golden["out_int"])
    assert (difference == 0).mean() >= ECG_EQUAL_SHARE and difference.max() <= 1


@pytest.mark.parametrize("batch", [1, 5, 13, 17, 64])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batch_and_threads_do_not_change_bits(compiled, batch, threads):
    noise = random.uniform(4, 0, 64, (8, 5000), low=-1.0, high=1.0)
    whole = compiled.run(noise, 1)
    parts = [compiled.run(noise[k : k + batch], threads) for k in range(0, 64, batch)]
    assert (np.concatenate(parts).view(np.int32) == whole.view(np.int32)).all()


def test_the_plan_stays_within_its_error_bound(published):
    """docs/kernels.md: rms and largest error of the signal, all layers direct and as planned."""
    noise = random.uniform(3, 0, 32, (8, 5000), low=-1.0, high=1.0)
    exact = reference.signal(published, noise)
    for algorithm in ("direct", ""):
        error = _kernels.native.Pulse2PulseNetwork(_fused.layers(published, algorithm)).run(noise) - exact
        rms, largest = float((error**2).mean() ** 0.5), float(np.abs(error).max())
        print(f"{algorithm or 'plan'}: rms {rms:.2e}, largest {largest:.2e}")
        assert rms <= ECG_RMS[algorithm] and largest <= ECG_LARGEST[algorithm]


_FORK = """
import os
from dsb_fast import _fused
from dsb_fast._models.ecg_source import published_checkpoint
from dsb_fast.export import pulse2pulse, torch_file
network = _fused.compile_network(pulse2pulse.from_tree(torch_file.load(published_checkpoint())[0]))
made = network.sample(1, 0, 3, 5000, 6000.0, 3)
if child := os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(int((network.sample(1, 0, 3, 5000, 6000.0, 3) != made).any()))
"""


def test_a_forked_process_makes_the_same_samples(tmp_path):
    """It has none of the threads that its parent keeps."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FORK], cwd=tmp_path, check=True, timeout=60)


def test_samples_are_noise_network_and_microvolts(compiled):
    noise = random.uniform(2**63 + 5, 2**32 - 3, 21, (8, 5000), low=-1.0, high=1.0)
    expected = (compiled.run(noise) * np.float32(6000)).astype(np.int16)
    assert (compiled.sample(2**63 + 5, 2**32 - 3, 21, 5000, 6000.0, 2) == expected).all()
    assert (compiled.sample(2**63 + 5, 2**32, 1, 5000, 6000.0) == expected[3:4]).all()


@pytest.mark.parametrize("length", [2500, 7500])
def test_other_sizes(length):
    state = {k: _tensor(v) for k, v in state_dict(6, leads=3).items()}
    network = pulse2pulse.from_tree(state)
    noise = random.uniform(1, 0, 3, (3, length), low=-1.0, high=1.0)
    signal = _fused.compile_network(network).run(noise)
    assert np.abs(signal - reference.signal(network, noise)).max() <= 1e-5
    with pytest.raises(ValueError, match="multiple of 2500"):
        _fused.compile_network(network).run(noise[:, :, :-1])


def _tensor(value):
    storage = torch_file.Storage("0", "f4", value.numel(), lambda: value.contiguous().numpy().tobytes())
    return torch_file.Tensor(storage, 0, tuple(value.shape), value.stride())


_PROGRAM = """
import hashlib
from dsb_fast import _fused, _kernels, random
from dsb_fast._models.ecg_source import published_checkpoint
from dsb_fast.export import pulse2pulse, torch_file
network = _fused.compile_network(pulse2pulse.from_tree(torch_file.load(published_checkpoint())[0]))
signal = network.run(random.uniform(8, 0, 5, (8, 5000), low=-1.0, high=1.0))
print(_kernels.active_variant(), hashlib.sha256(signal).hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_whole_samples_are_the_same_in_every_variant_that_fuses(tmp_path):
    digests = {name: digest for name, (digest,) in variants.each(_PROGRAM, tmp_path) if name != "scalar"}
    assert len(set(digests.values())) <= 1, digests  # scalar rounds products apart

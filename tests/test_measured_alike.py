"""What the compiled loops measure of an ECG, against numpy's answers: the same float64, in every variant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import variants
from references.synthetic_ecg import synthetic_ecg

from dsb_fast import _kernels
from dsb_fast._filter import in_numpy
from dsb_fast._filter.ecg import ECG, Ecg
from dsb_fast.leads import LEADS_8, LEADS_12, derive_12

pytestmark = [
    pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value"),  # numpy's, below 75 Hz
]


def values(sample: np.ndarray, rate_hz: float, leads, loops) -> list[float]:
    """All measurements, by these loops."""
    ecg = Ecg(sample, leads, rate_hz)
    ecg._loops = loops
    return [measure(ecg) for measure, _ in ECG.values()]


def assert_alike(sample: np.ndarray, rate_hz: float = 500.0, leads=LEADS_8) -> list[float]:
    """Both measure the same, which is returned."""
    ours, theirs = (values(sample, rate_hz, leads, loops) for loops in (_kernels.native, in_numpy))
    for name, a, b in zip(ECG, ours, theirs, strict=True):
        assert a == b or (math.isnan(a) and math.isnan(b)), name
    return ours


def test_generated_ecgs(generator):
    samples = generator.sample(24, seed=7)
    for sample in samples:
        assert not np.isnan(assert_alike(sample)[:6]).any()
        assert_alike(derive_12(sample), leads=LEADS_12)
    assert_alike(np.concatenate(samples[:3], axis=1)[:, :12500])  # another length
    for rate_hz in (50.0, 100.0, 257.3, 360.0, 1000.0, 2000.0):
        assert_alike(samples[0], rate_hz)
    assert_alike(samples[1, :1], leads=("MLII",))
    assert_alike(samples[2][:, ::-1])  # which is not contiguous
    loud = (samples[3].astype(np.int32) * 60).clip(-32768, 32767).astype(np.int16)
    assert assert_alike(loud)[list(ECG).index("clipped_share")] > 0
    assert assert_alike(samples[4] // 300)[list(ECG).index("flat_s")] > 0.1


@settings(max_examples=40, deadline=None)
@given(
    st.floats(300, 1700), st.sampled_from([50.0, 100.0, 125.0, 250.0, 360.0, 500.0, 1000.0]),
    st.sampled_from([0.0, 10.0, 40.0]), st.sampled_from([0.0, 300.0]), st.integers(0, 999), st.integers(0, 3),
)  # fmt: skip
def test_synthetic_ecgs(rr, rate_hz, noise_uv, wander_uv, seed, cut):
    rr_ms = rr * np.random.default_rng(seed).normal(1, 0.05, 60)
    sample, _ = synthetic_ecg(rr_ms, rate_hz, noise_uv=noise_uv, wander_uv=wander_uv, seed=seed)
    assert_alike(sample[:, : sample.shape[1] * (4 - cut) // 4], rate_hz)


def signals(kind: str, length: int, rng: np.random.Generator) -> np.ndarray:
    """int16 [8, length] of which there is nothing to measure, or too much."""
    shape = (8, length)
    if kind == "white":
        return (50 * rng.standard_normal(shape)).astype(np.int16)
    if kind == "drift":
        return (20 * np.cumsum(rng.standard_normal(shape), 1)).clip(-32768, 32767).astype(np.int16)
    if kind == "spikes":
        return np.where(rng.random(shape) < 0.003, rng.integers(-32768, 32768, shape), 0).astype(np.int16)
    if kind == "squares":
        levels = rng.choice([-32768, 0, 32767], (8, length // 100 + 1))
        return np.repeat(levels, 100, axis=1)[:, :length].astype(np.int16)
    low, high = {"all": (-32768, 32768), "few": (0, 3), "flat": (5, 6)}[kind]
    return rng.integers(low, high, shape).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["white", "drift", "spikes", "squares", "all", "few", "flat"]),
    st.sampled_from([1, 2, 3, 4, 5, 16, 17, 499, 501, 1000, 1001, 1003, 2500, 5000, 7500]), st.integers(0, 999),
)  # fmt: skip
def test_signals_that_are_no_ecgs(kind, length, seed):
    assert_alike(signals(kind, length, np.random.default_rng(seed)))


_PROGRAM = """
import numpy as np
from dsb_fast import _kernels
from dsb_fast._filter.ecg import ECG, Ecg
from dsb_fast.leads import LEADS_8

print(_kernels.active_variant())
rng = np.random.default_rng(5)
for beat_ms in (500, 800, 1300):
    beat = np.zeros((8, beat_ms // 2))
    for at, width, height in ((50, 9, 90), (118, 3, -150), (124, 4, 1100), (131, 3, -400), (215, 16, 260)):
        beat += rng.uniform(0.4, 1.4, (8, 1)) * height * np.exp(-(((np.arange(beat.shape[1]) - at) / width) ** 2))
    for rate_hz in (250.0, 500.0, 1000.0):
        sample = (np.tile(beat, 20)[:, :5000] + 8 * rng.standard_normal((8, 5000))).astype(np.int16)
        ecg = Ecg(sample, LEADS_8, rate_hz)
        assert rate_hz != 500 or ecg.beats() > 5
        print(*(measure(ecg).hex() for measure, _ in ECG.values()))
"""


def test_every_variant_measures_the_same(tmp_path):
    found = dict(variants.each(_PROGRAM, tmp_path))
    assert len({tuple(words) for words in found.values()}) == 1 and all(len(w) == 9 * len(ECG) for w in found.values())


def test_loops_refuse_what_is_no_signal():
    native = _kernels.native
    for sample in (np.zeros((0, 5), np.int16), np.zeros((8, 2), np.int16), np.zeros(9, np.int16)):
        with pytest.raises(ValueError, match=r"sample must be \[leads, time\]"):
            native.ecg_noise(sample)
    with pytest.raises(ValueError, match="width"):
        native.ecg_baseline(np.zeros((8, 50), np.int16), 0)
    with pytest.raises(ValueError, match="rate_hz"):
        native.ecg_beats(np.zeros((8, 50), np.int16), math.nan)
    with pytest.raises(TypeError):
        native.ecg_beats(np.zeros((8, 50), np.float32), 500.0)

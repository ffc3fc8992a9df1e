"""Measurements, against ECGs whose waves are known, package wfdb's beats, and float64 numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.synthetic_ecg import synthetic_ecg
from wfdb.processing import xqrs_detect

from dsb_fast._errors import InputError
from dsb_fast._filter.ecg import ECG, Ecg
from dsb_fast._filter.image import IMAGE
from dsb_fast._filter.measurements import Measurer
from dsb_fast.leads import LEADS_8, LEADS_12, derive_12

ABOUT = {"lead_names": list(LEADS_8), "sampling_rate_hz": 500.0}
WAVES = ("qrs_duration_ms", "pr_interval_ms", "qt_interval_ms", "qtc_bazett_ms", "qrs_range_uv")
OF_BEATS = ("heart_rate_bpm", "rr_min_ms", "rr_max_ms", "rr_sd_ms", "rmssd_ms")


def measured(sample, rate_hz=500.0, leads=LEADS_8):
    return next(Measurer({"lead_names": list(leads), "sampling_rate_hz": rate_hz}).each(sample[None]))


@settings(max_examples=25, deadline=None)
@given(st.integers(420, 1700), st.sampled_from([0.0, 10.0, 30.0]), st.sampled_from([0.0, 300.0]), st.integers(0, 99))
def test_beats_are_where_they_were_put(rr, noise, wander, seed):
    rr_ms = rr + np.random.default_rng(seed).normal(0, 0.03 * rr, 40)
    sample, begins = synthetic_ecg(rr_ms, qt_ms=300, pr_ms=130, noise_uv=noise, wander_uv=wander, seed=seed)
    found, intervals = measured(sample), np.diff(begins)
    inside = [b for b in begins if 140 < b < 10000 - 240]  # a beat needs its surroundings
    assert len(inside) <= found["beats"] <= len(begins)
    if found["beats"] == len(begins):
        assert found["heart_rate_bpm"] == pytest.approx(60000 / np.median(intervals), rel=0.01)
        assert found["rr_min_ms"] == pytest.approx(intervals.min(), abs=5)
        assert found["rr_max_ms"] == pytest.approx(intervals.max(), abs=5)
        if len(intervals) > 2:
            assert found["rr_sd_ms"] == pytest.approx(np.std(intervals, ddof=1), abs=3)
            assert found["rmssd_ms"] == pytest.approx(np.sqrt(np.mean(np.diff(intervals) ** 2)), abs=5)


@pytest.mark.parametrize("rate_hz", [250.0, 500.0, 1000.0])
@pytest.mark.parametrize("noise_uv", [0.0, 15.0])
@pytest.mark.parametrize("waves", [
    {}, {"qrs_ms": 70}, {"qrs_ms": 120}, {"pr_ms": 120}, {"pr_ms": 210}, {"qt_ms": 340}, {"qt_ms": 450}, {"t": 0.9},
])  # fmt: skip
def test_waves_are_as_long_as_they_were_made(waves, noise_uv, rate_hz):
    sample, _ = synthetic_ecg([900.0, 930.0, 880.0] * 4, rate_hz, noise_uv=noise_uv, **waves)
    found = measured(sample, rate_hz)
    of = {"qrs_ms": 90, "pr_ms": 160, "qt_ms": 390, **waves}
    # Threshold and smoothing widen a QRS with corners by some 10 ms; four samples at 250 Hz are 16 ms.
    assert found["qrs_duration_ms"] == pytest.approx(of["qrs_ms"] + 10, abs=10 if rate_hz > 250 else 18)
    assert found["pr_interval_ms"] == pytest.approx(of["pr_ms"], abs=12)
    assert found["qt_interval_ms"] == pytest.approx(of["qt_ms"], abs=15)
    assert found["qtc_bazett_ms"] == pytest.approx(found["qt_interval_ms"] / math.sqrt(0.9), rel=0.01)
    assert found["qrs_range_uv"] == pytest.approx(2000, rel=0.06)  # of V2: 900 up, 1100 down


def test_a_wave_that_is_not_there_is_not_measured():
    flat_t = measured(synthetic_ecg([900.0] * 12, t=0.0, noise_uv=10)[0])
    assert math.isnan(flat_t["qt_interval_ms"]) and math.isnan(flat_t["qtc_bazett_ms"])
    assert flat_t["pr_interval_ms"] == pytest.approx(160, abs=12)
    no_p = measured(synthetic_ecg([900.0] * 12, p=0.0, noise_uv=10)[0])
    assert math.isnan(no_p["pr_interval_ms"]) and no_p["qt_interval_ms"] == pytest.approx(390, abs=15)


def noise(kind: str) -> np.ndarray:
    white = np.random.default_rng(3).standard_normal((8, 5000))
    if kind == "drift":
        return np.cumsum(white, axis=1) * 20
    return white * 50 if kind == "white" else white * 0


@pytest.mark.parametrize("kind", ["white", "drift", "flat"])
def test_noise_has_no_heart_rate(kind):
    found = measured(noise(kind).astype(np.int16))
    assert found["beats"] == 0 and all(math.isnan(found[name]) for name in OF_BEATS + WAVES)
    assert not math.isnan(found["noise_uv"] + found["baseline_uv"] + found["flat_s"] + found["range_uv"])


@pytest.mark.parametrize("length", [1, 2, 3, 499, 700, 1001])
def test_short_signals_are_measured_as_far_as_they_go(length):
    sample = synthetic_ecg([900.0] * 12)[0][:, :length]
    found = dict(measured(sample))
    assert all(math.isnan(found[name]) for name in WAVES) and found["range_uv"] >= 0


def test_generated_ecgs_have_the_beats_that_wfdb_finds(generator):
    samples = generator.sample(24, seed=11)
    for sample in samples:
        theirs = xqrs_detect(sample[1] / 1000.0, 500.0, verbose=False)
        found = measured(sample)
        assert found["heart_rate_bpm"] == pytest.approx(60000 / np.median(np.diff(theirs) * 2.0), abs=3)
        assert 60 < found["qrs_duration_ms"] < 130 and 280 < found["qt_interval_ms"] < 450


def test_8_and_12_leads_measure_the_same(generator):
    sample = generator.sample(1, seed=2)[0]
    assert dict(measured(sample)) == dict(measured(derive_12(sample), leads=LEADS_12))


def test_signal_quality_against_numpy():
    sample = np.random.default_rng(1).integers(-500, 500, (8, 5000)).astype(np.int16)
    sample[2, 100:700] = 7
    sample[3, 1000:1010], sample[3, 2000:2002], sample[4, :5] = 900, 900, -900
    found = measured(sample)
    assert found["flat_s"] == 599 / 500
    assert found["clipped_share"] == 15 / 40000
    assert found["range_uv"] == np.ptp(sample, axis=1).max() and found["weakest_range_uv"] == np.ptp(sample[2])
    medians = np.median(sample.reshape(8, 10, 500), axis=2)
    assert found["baseline_uv"] == np.ptp(medians, axis=1).max()
    assert measured(np.zeros((8, 5000), np.int16))["clipped_share"] == 0
    assert measured(np.zeros((8, 5000), np.int16))["flat_s"] == 4999 / 500


@pytest.mark.parametrize("noise_uv", [10.0, 25.0, 60.0])
def test_noise_is_what_was_added(noise_uv):
    sample, _ = synthetic_ecg([900.0] * 12, noise_uv=noise_uv)
    assert measured(sample)["noise_uv"] == pytest.approx(noise_uv, rel=0.08)  # of the noisiest of 8 leads
    assert measured(synthetic_ecg([900.0] * 12, wander_uv=400)[0])["baseline_uv"] == pytest.approx(400, rel=0.1)


pictures = st.tuples(st.integers(3, 20), st.integers(3, 20), st.sampled_from([3, 4]), st.integers(0, 2**32 - 1),
                     st.sampled_from([1, 8, 256]))  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(pictures)
def test_images_against_float64_numpy(of):
    height, width, channels, seed, levels = of
    image = np.random.default_rng(seed).integers(0, levels, (height, width, channels)).astype(np.uint8)
    found = next(Measurer({}).each(image[None]))
    grey = image[..., :3].astype(np.float64) @ [0.299, 0.587, 0.114]
    shares = np.bincount(np.floor(grey + 0.5 + 1e-9).astype(int).ravel()) / grey.size
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    assert found["mean_grey"] == pytest.approx(grey.mean(), abs=1e-9)
    assert found["contrast_grey"] == pytest.approx(grey.std(), abs=1e-6)
    assert found["sharpness_grey"] == pytest.approx(laplacian.std(), abs=1e-6)
    assert found["entropy_bits"] == pytest.approx(-sum(p * math.log2(p) for p in shares if p), abs=1e-9)
    assert found["dark_share"] == (grey < 16 - 1e-9).mean() and found["bright_share"] == (grey > 250 - 1e-9).mean()


def test_names_have_units_and_unknown_ones_are_refused_with_a_near_one():
    for name in (*ECG, *IMAGE):
        assert name == "beats" or name.rsplit("_", 1)[1] in {"bpm", "ms", "uv", "s", "share", "grey", "bits"}
    with pytest.raises(InputError, match=r"keep: 'heart_rate' is no measurement; heart_rate_bpm is; there are beats"):
        Measurer(ABOUT).check(["heart_rate"], "keep")
    with pytest.raises(InputError, match="is no measurement; there are mean_grey"):
        Measurer({}).check(["beats"], "keep")


def test_leads_of_other_names_are_all_used():
    sample, _ = synthetic_ecg([900.0] * 12)
    two = Ecg(sample[:2], ("MLII", "V5"), 500.0)
    assert two.names == ("MLII", "V5") and two.heart_rate_bpm() == pytest.approx(60000 / 900, rel=0.01)


def test_stream_gives_what_is_kept(generator):
    samples = generator.sample(12, seed=3, start=5)
    rates = generator.measure(samples, ["heart_rate_bpm"])["heart_rate_bpm"]
    limit = float(np.median(rates))
    for keep in (f"heart_rate_bpm < {limit!r}", lambda measured: measured["heart_rate_bpm"] < limit):
        found = list(generator.stream(12, 3, 5, batch_size=5, keep=keep, with_index=True))
        numbers = np.concatenate([numbers for numbers, _ in found])
        assert numbers.dtype == np.int64 and numbers.tolist() == (np.flatnonzero(rates < limit) + 5).tolist()
        assert (np.concatenate([batch for _, batch in found]) == samples[rates < limit]).all()
        assert (
            np.concatenate(list(generator.stream(12, 3, 5, batch_size=5, keep=keep))) == samples[rates < limit]
        ).all()
    plain = list(generator.stream(12, 3, 5, batch_size=5, with_index=True))
    assert [numbers.tolist() for numbers, _ in plain] == [[*range(5, 10)], [*range(10, 15)], [15, 16]]
    assert list(generator.stream(12, 3, 5, keep="beats < 0")) == []
    for keep, word in (("beat > 1", "beats is"), (5, "int"), ("beats", "compare it")):
        with pytest.raises(InputError, match=word):
            generator.stream(12, keep=keep)


def test_measure_takes_what_sample_gives(generator):
    eight, twelve = generator.sample(2, 1), generator.sample(2, 1, leads=12)
    found = generator.measure(eight)
    assert list(found) == list(ECG) and all(values.shape == (2,) for values in found.values())
    assert {k: v.tolist() for k, v in generator.measure(twelve, "beats, range_uv", leads=12).items()} == {
        name: found[name].tolist() for name in ("beats", "range_uv")
    }
    for samples in (twelve, eight[0], eight.astype(np.float32)):
        with pytest.raises(InputError, match="they must be int16"):
            generator.measure(samples)

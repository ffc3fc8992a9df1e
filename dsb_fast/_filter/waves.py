"""Where the waves of a beat begin and end: QRS, P and T of the median beat of an ECG.

QRS by the speed of the heart's vector, P and T by tangents (Lepeschkin and Surawicz, Circulation 1952), over all leads
at once. Half of these waves have no sharp end, so other programs, and readers, differ by 10 to 20 ms. The answers are
those of csrc/ops/measure_waves.cc.
"""

from __future__ import annotations

import numpy as np

from .beats import moving_sum, seconds

NAN = float("nan")
_BEFORE_S, _AFTER_S = 0.36, 0.66  # of a beat, at most
_BEFORE_SHARE, _AFTER_SHARE = 0.42, 0.62  # of the time from beat to beat
_SHARE = 0.08  # of the QRS's highest speed: slower is no QRS
_STILL_S = 0.02  # that long slower, and it is over
_QRS_S = (0.03, 0.22)
_PR_S, _QT_S = (0.07, 0.36), (0.2, 0.65)
_T_FALL_S, _P_RISE_S = 0.24, 0.12  # from its top a wave is over within that
_NOISES, _HEIGHT = 5.0, 0.02  # a wave stands out by so many noises, and by that share of the QRS's height


def ecg_waves(sample: np.ndarray, rate_hz: float, positions: np.ndarray) -> tuple[float, float, float, float]:
    """QRS, PR and QT in ms and the QRS's range, of the median beat of ``sample`` int16 [leads, time].

    Of three beats or more that have room on both sides. NaN where a wave can't be told from its surroundings; the range
    is of the lead where it is largest.
    """
    none = (NAN, NAN, NAN, NAN)
    if len(positions) < 3:
        return none
    rate, usual = rate_hz, float(np.median(np.diff(positions)))
    before = int(min(_BEFORE_S * rate, _BEFORE_SHARE * usual))
    after = int(min(_AFTER_S * rate, _AFTER_SHARE * usual))
    beat = _median_beat(sample, positions, before, after) if before >= seconds(0.1, rate) else None
    if beat is None:
        return none
    ends = _qrs(beat, before, rate)
    if ends is None:
        return none
    begin, end = ends
    level = np.median(beat[:, max(0, begin - seconds(0.02, rate)) : max(1, begin - seconds(0.004, rate))], axis=1)
    height = _smooth(np.abs(beat - level[:, None]).sum(axis=0), rate)
    least = max(_NOISES * _noise(height), _HEIGHT * float(height[begin:end].max()))
    qrs = beat[:, begin : end + 1]
    t_end = _t_end(height, end + seconds(0.06, rate), least, seconds(_T_FALL_S, rate))
    p_begin = _p_begin(height, begin - seconds(0.02, rate), least, seconds(_P_RISE_S, rate))
    return (
        (end - begin) * 1000.0 / rate,
        _within((begin - p_begin) / rate, _PR_S),
        _within((t_end - begin) / rate, _QT_S),
        float((qrs.max(axis=1) - qrs.min(axis=1)).max()),
    )


def _within(duration_s: float, limits: tuple[float, float]) -> float:
    """In ms; NaN beyond the limits, where it is some other wave's."""
    return duration_s * 1000.0 if limits[0] <= duration_s <= limits[1] else NAN


def _median_beat(sample: np.ndarray, positions: np.ndarray, before: int, after: int) -> np.ndarray | None:
    """float64 [leads, before + after]: of each value the median over the beats, each less its own mean, cut down."""
    inside = [p for p in positions.tolist() if before <= p <= sample.shape[1] - after]
    if len(inside) < 3:
        return None
    cut = np.stack([sample[:, p - before : p + after] for p in inside], axis=-1).astype(np.int32)
    cut -= (cut.sum(axis=1, dtype=np.int64) // cut.shape[1]).astype(cut.dtype)[:, None]
    cut.sort(axis=-1)
    return (cut[..., (len(inside) - 1) // 2] + cut[..., len(inside) // 2]) / 2


def _smooth(values: np.ndarray, rate_hz: float) -> np.ndarray:
    """Sums over 10 ms, in whole quarters and so exact; the first and the last value go on beyond the ends."""
    half = seconds(0.004, rate_hz)
    return moving_sum(np.pad(values, half, "edge"), half)[half:-half]


def _noise(values: np.ndarray) -> float:
    """By second differences of neighbours that share no sample."""
    step = 6
    return float(np.median(np.abs(values[: -2 * step] - 2 * values[step:-step] + values[2 * step :]))) / 2


def _qrs(beat: np.ndarray, center: int, rate_hz: float) -> tuple[int, int] | None:
    """First and last sample of the QRS around ``center``."""
    speed = np.zeros(beat.shape[1])
    speed[1:-1] = np.abs(beat[:, 2:] - beat[:, :-2]).sum(axis=0)
    speed = _smooth(speed, rate_hz)
    near = seconds(0.06, rate_hz)
    fastest = center - near + int(speed[center - near : center + near + 1].argmax())
    quiet = float(np.partition(speed, len(speed) // 4)[len(speed) // 4])
    least = quiet + _SHARE * (float(speed[fastest]) - quiet)
    still = seconds(_STILL_S, rate_hz)
    end = _until_still(speed[fastest:] < least, still)
    begin = _until_still(speed[fastest::-1] < least, still)
    if begin is None or end is None or not _QRS_S[0] <= (begin + end) / rate_hz <= _QRS_S[1]:
        return None
    return fastest - begin, fastest + end


def _until_still(slow: np.ndarray, still: int) -> int | None:
    """How many samples until ``still`` of them follow that are ``slow``."""
    run = np.convolve(slow.astype(np.int64), np.ones(still, np.int64), "valid")
    found = np.flatnonzero(run == still)
    return int(found[0]) if len(found) else None


def _t_end(height: np.ndarray, begin: int, least: float, fall: int) -> float:
    """Where the steepest tangent after the T wave's top meets what follows it."""
    if len(height) - begin < 10:
        return NAN
    top = begin + int(height[begin:].argmax())
    return top + _tangent(height[top : top + fall], least) if top > begin else NAN


def _p_begin(height: np.ndarray, end: int, least: float, rise: int) -> float:
    """As the end of a wave, seen in a mirror."""
    if end < 10:
        return NAN
    top = int(height[:end].argmax())
    return top - _tangent(height[max(0, top - rise) : top + 1][::-1], least) if top < end - 1 else NAN


def _tangent(after: np.ndarray, least: float) -> float:
    """The place, in samples and parts of one, where the steepest tangent after a top meets the lowest height there.

    NaN if the wave is not higher than ``least`` above that.
    """
    step, lowest = 3, int(after.argmin())
    base = float(after[lowest])
    if lowest < 2 * step or float(after[0]) - base < least:
        return NAN
    falls = after[: lowest - 2 * step + 1] - after[2 * step : lowest + 1]
    steepest = int(falls.argmax())
    fall = float(falls[steepest]) / (2 * step)
    return steepest + step + (float(after[steepest + step]) - base) / fall

"""Where the beats of an ECG are, and what a beat of it looks like, in sums and orders of whole numbers.

Nothing here is rounded that a sum could round in another order, so the answers are the same on every machine, and those
of csrc/ops/measure_beats.cc.
"""

from __future__ import annotations

import numpy as np

_ENERGY_S, _SLOPE_S = 0.08, 0.01  # widths over which slopes are summed, and taken
_BLOCK_S = 2.0  # each is to have a beat
_REFRACTORY_S, _T_WAVE_S = 0.24, 0.36
_ALIGN_S, _LAG_S = 0.06, 0.03
_SHARE, _T_SHARE = 6, 4  # a beat has more than 1/6 of the usual energy; soon after another more than 1/4 of its
_CONTRAST = 12  # how far beats are above the quietest quarter of the time


def seconds(duration_s: float, rate_hz: float) -> int:
    """Samples in a duration, at least 1."""
    return max(1, int(duration_s * rate_hz + 0.5))


def moving_sum(values: np.ndarray, half: int) -> np.ndarray:
    """The sum of 2 * half + 1 values around each [..., time]; beyond the ends there are zeros."""
    padded = np.concatenate([np.zeros((*values.shape[:-1], half + 1), values.dtype), values], -1)
    padded = np.concatenate([padded, np.zeros((*values.shape[:-1], half), values.dtype)], -1)
    sums = np.cumsum(padded, -1)
    return sums[..., 2 * half + 1 :] - sums[..., : -2 * half - 1]


def slopes(signal: np.ndarray, half: int) -> np.ndarray:
    """x[t + half] - x[t - half] of each lead [leads, time]; 0 where the signal does not reach."""
    made = np.zeros_like(signal)
    made[:, half:-half] = signal[:, 2 * half :] - signal[:, : -2 * half]
    return made


def ecg_beats(sample: np.ndarray, rate_hz: float) -> np.ndarray:
    """Positions of the beats of ``sample`` int16 [leads, time], int64, in order.

    Where squared slopes, summed over the leads and 80 ms, are largest. A beat has more than 1/6 of the energy that is
    usual for beats (the median over 2 s blocks of the largest), 240 ms from any larger one, and 1/4 of that of a beat
    less than 360 ms before it, which tells T waves. Where even the usual one is less than 12 times that of the quietest
    quarter of the time, there are no beats but noise. Each is then moved by up to 30 ms to where its slopes are most
    like the median beat's.
    """
    half, none = seconds(_SLOPE_S, rate_hz), np.zeros(0, np.int64)
    signal = sample.astype(np.int32)
    if signal.shape[1] <= max(4 * half, seconds(_BLOCK_S, rate_hz)):
        return none
    slope = slopes(signal, half)
    squares = np.zeros(signal.shape[1], np.int64)
    for lead in slope:
        squares += np.square(lead, dtype=np.int64)
    energy = moving_sum(squares, seconds(_ENERGY_S / 2, rate_hz))
    block = seconds(_BLOCK_S, rate_hz)
    largest = energy[: len(energy) // block * block].reshape(-1, block).max(axis=1)
    usual, quiet = np.median(largest), np.partition(energy, len(energy) // 4)[len(energy) // 4]
    if usual == 0 or usual < _CONTRAST * quiet:
        return none
    found = _peaks(energy, usual / _SHARE, seconds(_REFRACTORY_S, rate_hz))
    return _aligned(slope, _without_t_waves(energy, found, rate_hz), rate_hz)


def _peaks(energy: np.ndarray, least: float, apart: int) -> list[int]:
    """Positions of maxima above ``least``, the largest first to be taken, none closer than ``apart`` to another."""
    inner = energy[1:-1]
    candidates = np.flatnonzero((inner > least) & (inner >= energy[:-2]) & (inner > energy[2:])) + 1
    taken: list[int] = []
    for position in candidates[np.argsort(-energy[candidates], kind="stable")].tolist():
        if all(abs(position - other) >= apart for other in taken):
            taken.append(position)
    return sorted(taken)


def _without_t_waves(energy: np.ndarray, positions: list[int], rate_hz: float) -> list[int]:
    kept: list[int] = []
    for position in positions:
        soon = kept and position - kept[-1] < _T_WAVE_S * rate_hz
        if not (soon and energy[position] * _T_SHARE < energy[kept[-1]]):
            kept.append(position)
    return kept


def _aligned(slope: np.ndarray, positions: list[int], rate_hz: float) -> np.ndarray:
    """The positions moved so that the slopes around them are alike; those too close to the ends are left out."""
    half, lag = seconds(_ALIGN_S, rate_hz), seconds(_LAG_S, rate_hz)
    inside = [p for p in positions if half + lag <= p < slope.shape[1] - half - lag]
    if not inside:
        return np.zeros(0, np.int64)
    around = np.stack([slope[:, p - half - lag : p + half + lag + 1] for p in inside]).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * half + 1, axis=2)
    shifts = np.zeros(len(inside), np.int64)
    for _ in range(2):  # the second time with a template of aligned beats
        beats = _cut(around, shifts, half, lag)
        beats.sort(axis=-1)
        template = (beats[..., (len(inside) - 1) // 2] + beats[..., len(inside) // 2]) // 2
        shifts = np.einsum("blsw,lw->bs", windows, template).argmax(axis=1) - lag  # of whole numbers: exact
    return np.array(inside, np.int64) + shifts


def _cut(around: np.ndarray, shifts: np.ndarray, half: int, lag: int) -> np.ndarray:
    """Of each beat's slopes [beats, leads, ...] the 2 * half + 1 ``shifts`` away from its place; beats last."""
    begins = (shifts + lag).tolist()
    return np.stack([one[:, k : k + 2 * half + 1] for one, k in zip(around, begins, strict=True)], axis=-1)

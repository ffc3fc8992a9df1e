"""How good the signal of an ECG is, int16 [leads, time]. The answers are those of csrc/ops/measure_quality.cc."""

from __future__ import annotations

import numpy as np

_CLIPPED = 3  # values in a row


def ecg_ranges(sample: np.ndarray) -> tuple[int, int]:
    """Largest less smallest value, of the lead where that is most, and least."""
    ranges = np.ptp(sample.astype(np.int32), axis=1)
    return int(ranges.max()), int(ranges.min())


def ecg_flat(sample: np.ndarray) -> int:
    """Equal neighbours in a row, of the longest such stretch of any lead."""
    longest = 0
    for lead in sample:
        changes = np.flatnonzero(lead[1:] != lead[:-1])
        longest = max(longest, int(np.diff(changes, prepend=-1, append=len(lead) - 1).max()) - 1)
    return longest


def ecg_clipped(sample: np.ndarray) -> int:
    """Values that are their lead's largest or smallest, three or more in a row; none of a flat lead."""
    clipped = 0
    for lead in sample:
        low, high = lead.min(), lead.max()
        if low != high:
            clipped += _in_runs(lead == high) + _in_runs(lead == low)
    return clipped


def _in_runs(hit: np.ndarray) -> int:
    """How many of the true values have two true neighbours in a row with them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hit, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= _CLIPPED].sum())


def ecg_baseline(sample: np.ndarray, width: int) -> float:
    """How far the medians of a lead's blocks of ``width`` values lie apart, in the lead where they do most."""
    blocks = sample.shape[1] // width
    medians = np.median(sample[:, : blocks * width].reshape(-1, blocks, width), axis=2)
    return float((medians.max(axis=1) - medians.min(axis=1)).max())


def ecg_noise(sample: np.ndarray) -> float:
    """The median of |x[t-1] - 2 x[t] + x[t+1]|, of the lead where it is largest; of three values or more."""
    signal = sample.astype(np.int32)
    return float(np.median(np.abs(signal[:, :-2] - 2 * signal[:, 1:-1] + signal[:, 2:]), axis=1).max())

"""What is measured of an ECG. docs/filters.md says how, and how far it can be relied on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import sqrt

import numpy as np

from ..leads import LEADS_8
from .beats import find_beats
from .waves import NAN, Waves, measure_waves

_GAUSS = 0.6744897501960817 * sqrt(6.0)  # median of |second differences| of noise of standard deviation 1
_CLIPPED = 3  # values in a row


class Ecg:
    """One ECG, int16 [leads, time] in microvolts; each measurement is made when it is first asked for.

    Of a signal that has leads I, II and V1 to V6 these alone are used, so that 8 and 12 leads measure the same.
    """

    def __init__(self, sample: np.ndarray, lead_names: tuple[str, ...], rate_hz: float):
        self.names = LEADS_8 if set(LEADS_8) <= set(lead_names) else tuple(lead_names)
        rows = [lead_names.index(name) for name in self.names]
        self.signal, self.rate_hz = np.asarray(sample)[rows].astype(np.int32), float(rate_hz)

    @cached_property
    def _beats(self):
        return find_beats(self.signal, self.rate_hz)

    @cached_property
    def _intervals_ms(self) -> np.ndarray:
        return self._beats.intervals_ms

    @cached_property
    def _waves(self) -> Waves:
        return measure_waves(self._beats)

    def beats(self) -> float:
        """How many were found."""
        return float(len(self._beats.positions))

    def heart_rate_bpm(self) -> float:
        """60000 / the median RR interval in ms; of three beats or more."""
        return 60000.0 / float(np.median(self._intervals_ms)) if len(self._intervals_ms) > 1 else NAN

    def rr_min_ms(self) -> float:
        """The shortest RR interval."""
        return float(self._intervals_ms.min()) if len(self._intervals_ms) > 1 else NAN

    def rr_max_ms(self) -> float:
        """The longest RR interval."""
        return float(self._intervals_ms.max()) if len(self._intervals_ms) > 1 else NAN

    def rr_sd_ms(self) -> float:
        """Standard deviation of the RR intervals (SDNN, with n - 1), of four beats or more."""
        counts = np.diff(self._beats.positions)
        n = len(counts)
        if n < 3:
            return NAN
        of_squares = n * int((counts * counts).sum()) - int(counts.sum()) ** 2
        return sqrt(of_squares / (n * (n - 1))) * 1000.0 / self.rate_hz

    def rmssd_ms(self) -> float:
        """Root of the mean squared difference of neighbouring RR intervals, of four beats or more."""
        steps = np.diff(self._beats.positions, 2)
        return sqrt(int((steps * steps).sum()) / len(steps)) * 1000.0 / self.rate_hz if len(steps) > 1 else NAN

    def qrs_duration_ms(self) -> float:
        """From the first to the last lead's QRS, of the median beat."""
        return self._waves.qrs_ms

    def pr_interval_ms(self) -> float:
        """From the begin of P to that of the QRS, of the median beat."""
        return self._waves.pr_ms

    def qt_interval_ms(self) -> float:
        """From the begin of the QRS to the end of T, of the median beat."""
        return self._waves.qt_ms

    def qtc_bazett_ms(self) -> float:
        """QT / sqrt(RR in s) (Bazett, Heart 1920), RR the median."""
        if not len(self._intervals_ms):
            return NAN
        return self._waves.qt_ms / sqrt(float(np.median(self._intervals_ms)) / 1000.0)

    def qrs_range_uv(self) -> float:
        """Largest less smallest value in the median beat's QRS, of the lead where that is most."""
        return self._waves.qrs_range_uv

    def flat_s(self) -> float:
        """How long the longest stretch of equal values of any lead lasts."""
        longest = 0
        for lead in self.signal:
            changes = np.flatnonzero(np.diff(lead))
            longest = max(longest, int(np.diff(changes, prepend=-1, append=len(lead) - 1).max()) - 1)
        return longest / self.rate_hz

    def clipped_share(self) -> float:
        """Share of values that are a lead's largest or smallest three times in a row or more; of a flat lead none."""
        clipped = 0
        for lead in self.signal:
            low, high = lead.min(), lead.max()
            if low != high:
                clipped += _in_runs(lead == high) + _in_runs(lead == low)
        return clipped / self.signal.size

    def baseline_uv(self) -> float:
        """How far the medians of the seconds of a lead lie apart, in the lead where they do most."""
        width = int(self.rate_hz)
        blocks = self.signal.shape[1] // width
        if blocks < 2:
            return NAN
        medians = np.median(self.signal[:, : blocks * width].reshape(-1, blocks, width), axis=2)
        return float((medians.max(axis=1) - medians.min(axis=1)).max())

    def noise_uv(self) -> float:
        """Standard deviation of the noise between neighbouring values, in the lead where it is largest.

        The median of |x[t-1] - 2 x[t] + x[t+1]| over what it is for white noise of standard deviation 1.
        """
        if self.signal.shape[1] < 3:
            return NAN
        second = np.abs(self.signal[:, :-2] - 2 * self.signal[:, 1:-1] + self.signal[:, 2:])
        return float(np.median(second, axis=1).max()) / _GAUSS

    def range_uv(self) -> float:
        """Largest less smallest value, in the lead where that is most."""
        return float(np.ptp(self.signal, axis=1).max())

    def weakest_range_uv(self) -> float:
        """Largest less smallest value, in the lead where that is least."""
        return float(np.ptp(self.signal, axis=1).min())


def _in_runs(hit: np.ndarray) -> int:
    """How many of the true values have two true neighbours in a row with them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hit, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= _CLIPPED].sum())


# By name: what measures, and the version of how; a change of an answer is a new version, and another dataset.
ECG: dict[str, tuple[Callable[[Ecg], float], int]] = {
    measure.__name__: (measure, 1)
    for measure in (
        Ecg.beats, Ecg.heart_rate_bpm, Ecg.rr_min_ms, Ecg.rr_max_ms, Ecg.rr_sd_ms, Ecg.rmssd_ms, Ecg.qrs_duration_ms,
        Ecg.pr_interval_ms, Ecg.qt_interval_ms, Ecg.qtc_bazett_ms, Ecg.qrs_range_uv, Ecg.range_uv, Ecg.weakest_range_uv,
        Ecg.flat_s, Ecg.clipped_share, Ecg.baseline_uv, Ecg.noise_uv,
    )
}  # fmt: skip

"""What is measured of an ECG. docs/filters.md says how, and how far it can be relied on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from math import sqrt

import numpy as np

from .. import _kernels
from ..leads import LEADS_8
from . import in_numpy
from .waves import NAN

_GAUSS = 0.6744897501960817 * sqrt(6.0)  # median of |second differences| of noise of standard deviation 1


class Ecg:
    """One ECG, int16 [leads, time] in microvolts; each measurement is made when it is first asked for.

    Of a signal that has leads I, II and V1 to V6 these alone are used, so that 8 and 12 leads measure the same.
    """

    def __init__(self, sample: np.ndarray, lead_names: tuple[str, ...], rate_hz: float):
        self.names = LEADS_8 if set(LEADS_8) <= set(lead_names) else tuple(lead_names)
        if self.names != tuple(lead_names):
            sample = np.asarray(sample)[[lead_names.index(name) for name in self.names]]
        self.signal, self.rate_hz = np.ascontiguousarray(sample), float(rate_hz)
        self._loops = _kernels.native or in_numpy  # the same answers

    @cached_property
    def _positions(self) -> np.ndarray:
        return self._loops.ecg_beats(self.signal, self.rate_hz)

    @cached_property
    def _intervals(self) -> list[int]:
        """From each beat to the next, in samples."""
        return _steps(self._positions.tolist())

    @cached_property
    def _intervals_ms(self) -> list[float]:
        """In order of length."""
        return [interval * 1000.0 / self.rate_hz for interval in sorted(self._intervals)]

    @property
    def _median_interval_ms(self) -> float:
        ordered = self._intervals_ms
        return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2

    @cached_property
    def _waves(self) -> tuple[float, float, float, float]:
        return self._loops.ecg_waves(self.signal, self.rate_hz, self._positions)

    @cached_property
    def _ranges(self) -> tuple[int, int]:
        return self._loops.ecg_ranges(self.signal)

    def beats(self) -> float:
        """How many were found."""
        return float(len(self._positions))

    def heart_rate_bpm(self) -> float:
        """60000 / the median RR interval in ms; of three beats or more."""
        return 60000.0 / self._median_interval_ms if len(self._intervals_ms) > 1 else NAN

    def rr_min_ms(self) -> float:
        """The shortest RR interval."""
        return self._intervals_ms[0] if len(self._intervals_ms) > 1 else NAN

    def rr_max_ms(self) -> float:
        """The longest RR interval."""
        return self._intervals_ms[-1] if len(self._intervals_ms) > 1 else NAN

    def rr_sd_ms(self) -> float:
        """Standard deviation of the RR intervals (SDNN, with n - 1), of four beats or more."""
        n = len(self._intervals)
        if n < 3:
            return NAN
        of_squares = n * sum(interval * interval for interval in self._intervals) - sum(self._intervals) ** 2
        return sqrt(of_squares / (n * (n - 1))) * 1000.0 / self.rate_hz

    def rmssd_ms(self) -> float:
        """Root of the mean squared difference of neighbouring RR intervals, of four beats or more."""
        steps = _steps(self._intervals)
        return sqrt(sum(step * step for step in steps) / len(steps)) * 1000.0 / self.rate_hz if len(steps) > 1 else NAN

    def qrs_duration_ms(self) -> float:
        """From the first to the last lead's QRS, of the median beat."""
        return self._waves[0]

    def pr_interval_ms(self) -> float:
        """From the begin of P to that of the QRS, of the median beat."""
        return self._waves[1]

    def qt_interval_ms(self) -> float:
        """From the begin of the QRS to the end of T, of the median beat."""
        return self._waves[2]

    def qtc_bazett_ms(self) -> float:
        """QT / sqrt(RR in s) (Bazett, Heart 1920), RR the median."""
        return self.qt_interval_ms() / sqrt(self._median_interval_ms / 1000.0) if self._intervals_ms else NAN

    def qrs_range_uv(self) -> float:
        """Largest less smallest value in the median beat's QRS, of the lead where that is most."""
        return self._waves[3]

    def flat_s(self) -> float:
        """How long the longest stretch of equal values of any lead lasts."""
        return self._loops.ecg_flat(self.signal) / self.rate_hz

    def clipped_share(self) -> float:
        """Share of values that are a lead's largest or smallest three times in a row or more; of a flat lead none."""
        return self._loops.ecg_clipped(self.signal) / self.signal.size

    def baseline_uv(self) -> float:
        """How far the medians of the seconds of a lead lie apart, in the lead where they do most."""
        width = int(self.rate_hz)
        return self._loops.ecg_baseline(self.signal, width) if self.signal.shape[1] // width > 1 else NAN

    def noise_uv(self) -> float:
        """Standard deviation of the noise between neighbouring values, in the lead where it is largest.

        The median of |x[t-1] - 2 x[t] + x[t+1]| over what it is for white noise of standard deviation 1.
        """
        if self.signal.shape[1] < 3:
            return NAN
        return self._loops.ecg_noise(self.signal) / _GAUSS

    def range_uv(self) -> float:
        """Largest less smallest value, in the lead where that is most."""
        return float(self._ranges[0])

    def weakest_range_uv(self) -> float:
        """Largest less smallest value, in the lead where that is least."""
        return float(self._ranges[1])


def _steps(values: list[int]) -> list[int]:
    """From each to the next."""
    return [after - before for before, after in pairwise(values)]


# By name: what measures, and the version of how; a change of an answer is a new version, and another dataset.
ECG: dict[str, tuple[Callable[[Ecg], float], int]] = {
    measure.__name__: (measure, 1)
    for measure in (
        Ecg.beats, Ecg.heart_rate_bpm, Ecg.rr_min_ms, Ecg.rr_max_ms, Ecg.rr_sd_ms, Ecg.rmssd_ms, Ecg.qrs_duration_ms,
        Ecg.pr_interval_ms, Ecg.qt_interval_ms, Ecg.qtc_bazett_ms, Ecg.qrs_range_uv, Ecg.range_uv, Ecg.weakest_range_uv,
        Ecg.flat_s, Ecg.clipped_share, Ecg.baseline_uv, Ecg.noise_uv,
    )
}  # fmt: skip

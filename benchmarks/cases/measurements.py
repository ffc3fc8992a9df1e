"""What filters and labels measure of ECGs, beside making them."""

from __future__ import annotations

import numpy as np
from ecg_peers import DsbFast
from harness import Alternative, Comparison, Missing, WrongAnswer

import dsb_fast
from dsb_fast import _kernels
from dsb_fast._filter import in_numpy
from dsb_fast._filter.ecg import ECG, Ecg
from dsb_fast.leads import LEADS_8

SUMMARY = "measurements of ECGs: compiled and in numpy against the network that makes them, one thread each"
COUNT = "ECGs in a round (64); the compiled loops measure each 10 times, so that all rounds are long enough"
_NETWORK = "network"
_MEASURED = {"heart rate": ["heart_rate_bpm"], "all": list(ECG)}


def _measure(samples: np.ndarray, names: list[str], loops) -> np.ndarray:
    """float64 [ECGs, names], by these loops."""
    made = []
    for sample in samples:
        ecg = Ecg(sample, LEADS_8, 500.0)
        ecg._loops = loops
        made.append([ECG[name][0](ecg) for name in names])
    return np.array(made)


def prepare(count: int | None) -> Comparison:
    """Both loops' numbers are compared before anything is timed."""
    if _kernels.native is None:
        raise Missing("compiled: the extension is not built")
    count = count or 64
    generator = dsb_fast.load("cardiovascular.ecg", device="cpu")
    samples, network = generator.sample(count, seed=2021), DsbFast(generator, 1)
    ways = {"": (_kernels.native, 10), " in numpy": (in_numpy, 1)}
    ours, theirs = (_measure(samples, list(ECG), loops) for loops, _ in ways.values())
    if not np.array_equal(ours, theirs, equal_nan=True):
        raise WrongAnswer("the compiled loops measure something else than numpy")
    alternatives = [Alternative(_NETWORK, lambda: network.run(count), count)]
    for way, (loops, times) in ways.items():
        for what, names in _MEASURED.items():

            def run(names=names, loops=loops, times=times):
                for _ in range(times):
                    _measure(samples, names, loops)

            alternatives.append(Alternative(what + way, run, times * count))
    return Comparison(
        "ECG/s",
        _NETWORK,
        alternatives,
        f"equal float64 of {len(ECG)} measurements of {count} ECGs",
        note="microseconds an ECG are 1,000,000 over the rate",
        targets=tuple((what, f"{what} in numpy", 5.0) for what in _MEASURED),
    )

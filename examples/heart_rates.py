"""Stream ECGs through a measurement without touching the disk: the heart rates of 256 synthetic people.

python examples/heart_rates.py
"""

import numpy as np

import dsb_fast


def beats_per_minute(lead_uv: np.ndarray, sampling_rate_hz: float) -> float:
    """Heart rate of one lead by its steepest slopes, at least 0.3 s apart."""
    slope = np.abs(np.diff(lead_uv.astype(np.float64)))
    energy = np.convolve(slope, np.ones(20), mode="same")
    peaks, wait = [], int(0.3 * sampling_rate_hz)
    for position in np.argsort(energy)[::-1]:
        if energy[position] < 0.5 * energy.max():
            break
        if all(abs(position - other) > wait for other in peaks):
            peaks.append(int(position))
    intervals_s = np.diff(sorted(peaks)) / sampling_rate_hz
    return 60.0 / float(np.median(intervals_s)) if len(intervals_s) else float("nan")


def main() -> None:
    """Print the quartiles."""
    generator = dsb_fast.load("cardiovascular.ecg")
    rate = generator.info["sampling_rate_hz"]
    rates = [beats_per_minute(sample[1], rate) for batch in generator.stream(256, seed=1) for sample in batch]
    low, middle, high = np.nanpercentile(rates, [25, 50, 75])
    print(f"256 synthetic ECGs: heart rate {middle:.0f} per minute, half of them from {low:.0f} to {high:.0f}")


if __name__ == "__main__":
    main()

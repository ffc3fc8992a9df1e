"""Samples to the text of an .asc file."""

from __future__ import annotations

import io

import numpy as np
from harness import Alternative, Comparison, WrongAnswer

from dsb_fast import _kernels

SUMMARY = "text of int16 [8, 5000] samples: dsb_fast's formatter against numpy.savetxt"
COUNT = "ECGs that savetxt formats in a round (10); dsb_fast formats 100 times as many, so that both are long enough"


def _samples(count: int) -> np.ndarray:
    """Microvolts as wide as an ECG's, with the extremes of int16 among them."""
    random = np.random.default_rng(2021)
    samples = np.clip(random.normal(0, 400, (count, 8, 5000)), -32768, 32767).astype(np.int16)
    samples[0, 0, :4] = (-32768, 32767, 0, -1)
    return samples


def _savetxt(sample: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savetxt(buffer, sample.T, fmt="%i")
    return buffer.getvalue()


def prepare(count: int | None) -> Comparison:
    """The formatter's bytes are compared with savetxt's before anything is timed."""
    samples = _samples(count or 10)
    for k, sample in enumerate(samples):
        if _kernels.rows_as_text(sample, " ") != _savetxt(sample):
            raise WrongAnswer(f"rows_as_text differs from savetxt in sample {k}")

    def ours():
        for _ in range(100):
            for sample in samples:
                _kernels.rows_as_text(sample, " ")

    return Comparison(
        "ECG/s",
        "numpy.savetxt",
        [
            Alternative("dsb_fast", ours, 100 * len(samples), setting="1 thread"),
            Alternative("numpy.savetxt", lambda: [_savetxt(sample) for sample in samples], len(samples)),
        ],
        f"equal bytes for {len(samples)} samples",
    )

"""Stands in for ``deepfakeecg`` of deepfake-ecg 1.1.2: change the import line, no more."""

from __future__ import annotations

from . import ecg


def generate(num_of_sample, out_dir, start_id=0, run_device="cpu", *, seed=None):
    """:func:`dsb_fast.cardiovascular.ecg.generate` under deepfake-ecg's argument names."""
    ecg.generate(ecg.whole("num_of_sample", num_of_sample), out_dir, start_id, run_device, seed=seed)

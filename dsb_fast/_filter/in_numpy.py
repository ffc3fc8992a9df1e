"""The compiled loops' answers from numpy: where the extension is not built, and what its tests compare with."""

from .beats import ecg_beats
from .quality import ecg_baseline, ecg_clipped, ecg_flat, ecg_noise, ecg_ranges
from .waves import ecg_waves

__all__ = ["ecg_baseline", "ecg_beats", "ecg_clipped", "ecg_flat", "ecg_noise", "ecg_ranges", "ecg_waves"]

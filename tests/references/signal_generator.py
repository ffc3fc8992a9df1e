"""A small ECG generator with what the bulk engine needs of one; it stands in for Pulse2Pulse."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from dsb_fast import InputError, random
from dsb_fast._models.card import NEAR
from dsb_fast.leads import LEADS_8

LENGTH = 60


@dataclass(frozen=True)
class Options:
    """What shapes an ECG."""

    leads: int = 8


class SignalModel:
    """Uniform noise in microvolts."""

    name, default_format, dtype = "cardiovascular.ecg", "asc", np.int16

    def options(self, **given) -> Options:
        if set(given) - {"leads"} or given.get("leads", 8) != 8:
            raise InputError(f"{given}: not an option")
        return Options()

    def near(self, precision):
        return NEAR[precision]

    def context(self, options) -> dict:
        return {"unit": "microvolt", "lead_names": list(LEADS_8), "sampling_rate_hz": 500.0}

    def sample_shape(self, options) -> tuple[int, ...]:
        return (8, LENGTH)

    def info(self) -> dict:
        return {"title": "Test ECGs", "licence": "MIT", "citation": "none", "weights_sha256": "ab" * 32}


class SignalGenerator:
    """What ``dsb_fast.load`` would return for :class:`SignalModel`."""

    precision, flavour, graph_sha256, batch_size, opened_with = "fp32", "portable", "cd" * 32, 4, None
    forced = None

    def __init__(self):
        self.model = SignalModel()
        self.backend = SimpleNamespace(
            name="onnxruntime", grade="repeatable", depends_on={"onnxruntime": "1"}, parallel=2
        )
        self.info = self.model.info()

    def share(self, count, threads):
        return max(1, -(-count // threads))

    def make(self, seed, start, count, options):
        return random.uniform(seed, start, count, (8, LENGTH), low=-3000, high=3000).astype(np.int16)

    def sample(self, count, seed=0, start=0, **options):
        return self.make(seed, start, count, self.model.options(**options))

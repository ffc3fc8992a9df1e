"""The compiled network without ONNX Runtime: noise, network and microvolts of a group of samples in one call."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .._errors import GenerationError, InputError
from .base import Backend, Device, cores


class NativeBackend(Backend):
    """A packed network on the compiled kernels. Calls in parallel share the weights, threads the samples of a call."""

    device, auto, engine = "cpu", True, "native"
    takes = "network"
    name, grade, flavour = "native", "exact", "fused"
    divides = True
    batch_size = 64  # four groups of samples, one a vector lane: weights are read once for all

    @classmethod
    def flavours(cls, precision: str = "fp32") -> tuple[str, ...]:
        return ("fused",) if precision in cls.precisions else ()

    @classmethod
    def probe(cls) -> Device:
        if _kernels.native is None:
            return Device("cpu", False, True, "", "the compiled extension is not built")
        return Device("cpu", True, True, f"compiled kernels, {cores()} cores")

    def __init__(self, model, precision: str, number: str, flavour: str = "fused"):
        self._network = _kernels.native.Pulse2PulseNetwork(list(model.shapes), model.weights)
        self.depends_on = {"arithmetic": _kernels.arithmetic()}
        self.parallel = cores()

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return {"signal": self._network.run(inputs["noise"])}
        except ValueError as error:
            raise InputError(f"noise: {error}") from None

    def microvolts(self, seed: int, start: int, count: int, length: int, scale: float, threads: int = 1) -> np.ndarray:
        """int16 [count, leads, length] of samples ``start`` to ``start + count - 1``."""
        try:
            return self._network.sample(seed, start, count, length, scale, threads)
        except ValueError:
            raise GenerationError(
                "the network's output has values that are not numbers; the weights are unusable"
            ) from None

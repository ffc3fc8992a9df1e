"""Ways to run NVIDIA's network on the CPU, each with z and noise drawn in numbered order and uint8 images out.

The ONNX peers get dsb_fast's own random numbers and conversion, which favours them: only the network differs.
"""

from __future__ import annotations

import gi_peers
import numpy as np
from nv_model import TRUNCATION

from dsb_fast import random


class Inputs:
    """The network's inputs by number, of seed 0, drawn on the calling thread."""

    levels = (127.5, 128.0)  # scale and offset of grey levels

    def __init__(self, latent_dim: int, sizes: tuple[int, ...]):
        self._latent_dim, self._sizes = latent_dim, sizes

    def draw(self, first: int, count: int) -> dict[str, np.ndarray]:
        """Of the samples ``first`` to ``first + count - 1``."""
        ends = np.cumsum([side * side for side in self._sizes])
        values = random.normal(0, first, count, (int(ends[-1]),), stream=1, threads=1)
        planes = enumerate(zip(self._sizes, np.split(values, ends[:-1], axis=1), strict=True))
        return {
            "z": random.normal(0, first, count, (self._latent_dim,), stream=0, threads=1),
            **{f"noise_{k}": np.ascontiguousarray(plane).reshape(-1, 1, side, side) for k, (side, plane) in planes},
            "truncation_psi": np.array(TRUNCATION, np.float32),
        }

    def shapes(self, batch: int) -> dict[str, list[int]]:
        """Of a batch."""
        planes = {f"noise_{k}": [batch, 1, side, side] for k, side in enumerate(self._sizes)}
        return {"z": [batch, self._latent_dim], **planes, "truncation_psi": []}


class Torch:
    """The network as published, eager, under no_grad; its own random numbers."""

    def __init__(self, network, batch: int):
        self._network, self._batch = network, batch
        self.setting = f"eager, no_grad, batch {batch}"

    def image(self, inputs):
        return np.concatenate([published(self._network, part) for part in gi_peers.parts(inputs, self._batch)])

    def run(self, count):
        self._network.generate(count, self._batch, TRUNCATION)


def published(network, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The original's images of named inputs."""
    planes = [value for name, value in inputs.items() if name.startswith("noise_")]
    return network.image(inputs["z"], planes, TRUNCATION)

"""What the peers of gi_peers.py are given to run NVIDIA's network: z and noise drawn in numbered order."""

from __future__ import annotations

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


def published(network, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The original's images of named inputs."""
    planes = [value for name, value in inputs.items() if name.startswith("noise_")]
    return network.image(inputs["z"], planes, TRUNCATION)

"""From the numbers of samples to whole numbers: what a torch device does for one batch."""

from __future__ import annotations

import math

import torch

from . import philox


class Sampler:
    """Random inputs, the network, and microvolts or grey levels of ``count`` samples.

    ``draws`` are of :mod:`dsb_fast._models.on_device`, ``ends`` as a description has them. Called with ``seed`` and
    ``start``, int64 (as bits: unsigned), and the network's other inputs; gives ``samples`` and ``not_numbers`` int32
    [1], how many values of the network's output were none.
    """

    def __init__(self, network, draws, count: int, ends: tuple[str, float, float]):
        self._network, self._draws, self._count, self._ends = network, draws, count, ends

    def __call__(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        inputs = dict(inputs)
        seed, start = inputs.pop("seed"), inputs.pop("start")
        for draw in self._draws:
            inputs |= self._drawn(draw, seed, start)
        [made] = self._network.run(inputs).values()
        broken = (~torch.isfinite(made)).sum().to(torch.int32).reshape(1)
        return {"samples": self._whole(made), "not_numbers": broken}

    def _drawn(self, draw, seed, start) -> dict[str, torch.Tensor]:
        sizes = [math.prod(shape) for shape in draw.shapes.values()]
        where = (seed, start, self._count, sum(sizes), draw.stream)
        values = philox.normal(*where) if draw.kind == "normal" else philox.uniform(*where, draw.low, draw.high)
        parts = zip(draw.shapes.items(), values.split(sizes, 1), strict=True)
        return {name: part.reshape(self._count, *shape) for (name, shape), part in parts}

    def _whole(self, made: torch.Tensor) -> torch.Tensor:
        """int16, cut toward zero, or uint8 [N, height, width, channels], held to 0..255 and cut down."""
        kind, scale, offset = self._ends
        if kind == "microvolt":
            return (made * scale).to(torch.int16)
        return (made * scale + offset).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

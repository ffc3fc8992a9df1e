"""From the numbers of samples to whole numbers: what a torch device does for one batch."""

from __future__ import annotations

import math

import numpy as np
import torch

from . import philox

_DRAWN = "drawn.{}"  # inputs that are drawn before the rest runs


def _elements(draw) -> int:
    """Random numbers a sample."""
    return sum(math.prod(shape) for shape in draw.shapes.values())


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
        for k, draw in enumerate(self._draws):
            values = inputs.pop(_DRAWN.format(k), None)
            inputs |= self._split(draw, self._drawn(draw, seed, start) if values is None else values)
        [made] = self._network.run(inputs).values()
        broken = (~torch.isfinite(made)).sum().to(torch.int32).reshape(1)
        return {"samples": self._whole(made), "not_numbers": broken}

    def room(self) -> dict[str, np.ndarray]:
        """Arrays as large as the inputs that :meth:`draw` writes."""
        return {_DRAWN.format(k): np.zeros((self._count, _elements(d)), np.float32) for k, d in enumerate(self._draws)}

    def draw(self, kernels, inputs: dict[str, torch.Tensor], given: dict[str, np.ndarray]) -> None:
        """Random numbers by the compiled ``kernels`` into ``inputs``, on the current stream, before the rest runs."""
        seed, start = (int(given[name]) % (1 << 64) for name in ("seed", "start"))
        for k, draw in enumerate(self._draws):
            out = inputs[_DRAWN.format(k)]
            how = {"low": draw.low, "span": draw.high - draw.low} if draw.kind == "uniform" else {}
            fill = kernels.philox_uniform if how else kernels.philox_normal
            where = {"device": out.device.index or 0, "stream": torch.cuda.current_stream().cuda_stream}
            fill(seed, start, self._count, [_elements(draw)], numbers=draw.stream, out=out, **how, **where)

    def _drawn(self, draw, seed, start) -> torch.Tensor:
        where = (seed, start, self._count, _elements(draw), draw.stream)
        return philox.normal(*where) if draw.kind == "normal" else philox.uniform(*where, draw.low, draw.high)

    def _split(self, draw, values: torch.Tensor) -> dict[str, torch.Tensor]:
        sizes = [math.prod(shape) for shape in draw.shapes.values()]
        parts = zip(draw.shapes.items(), values.split(sizes, 1), strict=True)
        return {name: part.reshape(self._count, *shape) for (name, shape), part in parts}

    def _whole(self, made: torch.Tensor) -> torch.Tensor:
        """int16, cut toward zero, or uint8 [N, height, width, channels], held to 0..255 and cut down."""
        kind, scale, offset = self._ends
        if kind == "microvolt":
            return (made * scale).to(torch.int16)
        return (made * scale + offset).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

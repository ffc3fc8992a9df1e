"""The portable synthesis network in float16, with numbers that cannot overflow.

Mapping, styles, demodulation and the image so far stay float32. A layer's styles are divided by their largest, the
weights of an output channel by so much that its sums stay below 32768 whatever the input is; both are multiplied into
the demodulation, or into RGB in float32. Activations are clamped, to ``conv_clamp`` or to 1024, so that a result is
finite whatever the weights are; whether it is near float32 is for the model's acceptance test.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .lucid_builder import StandardPart
from .stylegan2_network import HOMOGENEOUS, Modulated
from .stylegan2_portable import Synthesis, activated, clamped, scale

REACH = 1024.0  # of activations that the network does not clamp further
_INPUT = 4096.0  # what no layer's input exceeds: an activation times a gain, and a side branch
_SUMS = 32768.0
_ADDED = 16384.0  # noise, bias


class HalfSynthesis(Synthesis):
    """The nodes of a synthesis network in float16."""

    kind = np.float16

    def build(self) -> None:
        self.taps = float(np.prod([np.abs(f.taps).sum() for f in self.filters]))
        super().build()

    def constant(self, name: str, values) -> str:
        return super().constant(name, np.clip(values, -_INPUT, _INPUT))

    def half(self, part: StandardPart, x: str, output: str) -> str:
        return part.node("Cast", [x], output, to=TensorProto.FLOAT16)

    def bounded(self, weight: np.ndarray, up: bool) -> tuple[np.ndarray, np.ndarray]:
        """Weights [out, ...] whose sums stay in bounds, and what makes up for it, [out]."""
        weight = np.float64(weight)
        sizes = np.abs(weight).reshape(len(weight), -1).sum(axis=1) * (self.taps if up else 1) * _INPUT / _SUMS
        sizes = np.where(sizes > 0, sizes, 1)
        return weight / sizes.reshape(-1, *[1] * (weight.ndim - 1)), sizes

    def normalised(self, part: StandardPart, style: str) -> tuple[str, str]:
        """The style over its largest value, float16, and that value, [N, 1]."""
        most = part.node("ReduceMax", [part.node("Abs", [style], "magnitudes")], "largest", axes=[1], keepdims=1)
        most = part.node("Max", [most, self.graph.constant("style.least", 1e-30)], "most")
        return self.half(part, part.node("Div", [style, most], "normalised"), "style"), most

    def restored(self, part: StandardPart, most: str, sizes: np.ndarray) -> str:
        """What makes up for both, [N, out], float32."""
        return part.node("Mul", [most, self.graph.constant(f"{part.name}sizes", sizes[None])], "restored")

    def modulated(self, part: StandardPart, layer: Modulated, x: str, style: str, inverse: str) -> str:
        (weight, sizes), (style, most) = self.bounded(layer.weight, layer.up), self.normalised(part, style)
        x = self.sums(part, weight, scale(part, x, style, "modulated"), layer.up)
        factors = part.node("Mul", [inverse, self.restored(part, most, sizes)], "factors")
        factors = clamped(part, factors, _SUMS, "factors.bounded")
        return scale(part, x, self.half(part, factors, "factors.half"), "demodulated")

    def plane(self, part: StandardPart, plane: str) -> str:
        return self.half(part, clamped(part, plane, _ADDED, "noise.bounded"), "noise.half")

    def activated(self, part: StandardPart, x: str, layer: Modulated, gain: float) -> str:
        clamp = None if layer.clamp is None else min(layer.clamp, REACH)
        if clamp is None or layer.activation not in HOMOGENEOUS:
            x = clamped(part, x, REACH, "bounded", self.kind)
        return activated(part, x, layer.activation, gain, clamp, self.kind)

    def branch(self, part: StandardPart, weight: np.ndarray, x: str) -> str:
        weight, sizes = self.bounded(weight, True)
        x = super().branch(part, weight, x)
        sizes = self.graph.constant(f"{part.name}sizes", np.minimum(sizes, _SUMS).reshape(-1, 1, 1), self.kind)
        return clamped(part, part.node("Mul", [x, sizes], "restored"), REACH, "bounded", self.kind)

    def colours(self, rgb: Modulated, x: str) -> str:
        part, (weight, sizes) = self.part(rgb.name), self.bounded(rgb.weight, False)
        style, most = self.normalised(part, self.style(part, rgb))
        x = self.sums(part, weight, scale(part, x, style, "modulated"), False)
        x = part.node("Cast", [x], "single", to=TensorProto.FLOAT)
        x = scale(part, x, self.restored(part, most, sizes), "unclamped")
        bias = self.graph.constant(f"{part.name}bias", rgb.bias.reshape(-1, 1, 1))
        return activated(part, part.node("Add", [x, bias], "sum"), "linear", clamp=rgb.clamp)

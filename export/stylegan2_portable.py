"""NVIDIA's and rosinality's StyleGAN2 as nodes of standard operators.

As in :mod:`dsb_fast.export.lucid_portable`, modulation scales a layer's activations and demodulation its sums, so that
all samples share the weights. Zeros between the samples, filter and taps are a transposed convolution and then the
filter: docs/graphs.md.
"""

from __future__ import annotations

import numpy as np

from .lucid_builder import SLOPE, Graph, StandardPart
from .lucid_portable import energies
from .stylegan2_filters import filters
from .stylegan2_network import HOMOGENEOUS, Block, Linear, Modulated, StyleGan2Network, scaled

_OPERATORS = {name: name.capitalize() for name in ("relu", "tanh", "sigmoid")}
_SELU = 1.0507009873554805, 1.6732632423543772  # of all values, of the negative ones


def mapping(graph: Graph, network: StyleGan2Network, output: str) -> None:
    """``z`` and ``label`` to ``output`` [N, num_ws, w_dim], the same in all rows."""
    part = StandardPart(graph, {}, "mapping.")
    x = _normalised(part, "z", "latent", network.z_dim)
    if network.embed:
        label = linear(graph, network.embed, "label")
        label = _normalised(part, label, "embedded", len(network.embed.bias))
        x = part.node("Concat", [x, label], "joined", axis=1)
    for layer in network.mapping:
        x = linear(graph, layer, x)
    row = part.node("Unsqueeze", [x, part.integers(1)], "row")
    graph.node("Expand", [row, part.integers(1, network.num_ws, 1)], output)


def truncation(graph: Graph, network: StyleGan2Network, w: str, mean_style: np.ndarray, output: str) -> None:
    """mean + psi * (w - mean), in all rows; rosinality's networks ignore a psi above 1."""
    mean, psi = graph.constant("mean_style", np.reshape(mean_style, -1)), "truncation_psi"
    if network.family == "rosinality":
        psi = graph.node("Min", [psi, graph.constant("truncation.most", 1)], "truncation.psi")
    moved = graph.node("Mul", [graph.node("Sub", [w, mean], "w.apart"), psi], "w.moved")
    graph.node("Add", [moved, mean], output)


def synthesis(graph: Graph, network: StyleGan2Network, noise: str) -> None:
    """``w`` [N, num_ws, w_dim] and, for ``noise`` "input", its planes to ``image``."""
    Synthesis(graph, network, noise).build()


def _normalised(part: StandardPart, x: str, name: str, features: int) -> str:
    """x / sqrt(mean of x^2 + 1e-8), over the features of a sample."""
    share = part.graph.constant(f"mapping.{name}.share", 1 / features)
    mean = part.node("Mul", [part.node("ReduceSumSquare", [x], f"{name}.energy", axes=[1]), share], f"{name}.mean")
    least = part.node("Add", [mean, part.graph.constant("mapping.least", 1e-8)], f"{name}.least")
    return part.node("Div", [x, part.node("Sqrt", [least], f"{name}.norm")], name)


def linear(graph: Graph, layer: Linear, x: str) -> str:
    part = StandardPart(graph, {}, f"{layer.name}.")
    inputs = [x, graph.constant(f"{part.name}weight", layer.weight), graph.constant(f"{part.name}bias", layer.bias)]
    return activated(part, part.node("Gemm", inputs, "sum", transB=1), layer.activation, layer.gain)


def activated(
    part: StandardPart, x: str, activation: str, gain: float = 1.0, clamp: float | None = None, kind=np.float32
) -> str:
    """clamp(gain * activation(x)), where x is of ``kind``.

    Not ONNX's Elu, Selu and Softplus: ONNX Runtime rounds the values that are left over behind its vectors otherwise
    than those in them, and where vectors end depends on the batch.
    """
    if activation == "lrelu":
        x = part.node("LeakyRelu", [x], "activated", alpha=SLOPE)
    elif activation == "swish":
        x = part.node("Mul", [x, part.node("Sigmoid", [x], "sigmoid")], "activated")
    elif activation in ("elu", "selu"):
        scale, slope = _SELU if activation == "selu" else (1.0, 1.0)
        x, gain = _elu(part, x, slope, kind), gain * scale
    elif activation == "softplus":
        x = _softplus(part, x, kind)
    elif activation != "linear":
        x = part.node(_OPERATORS[activation], [x], "activated")
    if gain != 1.0:
        x = part.node("Mul", [x, part.graph.constant(f"{part.name}gain", gain, kind)], "scaled")
    return x if clamp is None else clamped(part, x, clamp, "clamped", kind)


def clamped(part: StandardPart, x: str, most: float, output: str, kind=np.float32) -> str:
    """x between -most and most."""
    ends = [part.graph.constant(f"{part.name}{output}.{n}", n * most, kind) for n in (-1, 1)]
    return part.node("Clip", [x, *ends], output)


def _elu(part: StandardPart, x: str, slope: float, kind) -> str:
    """max(x, 0) + slope (exp(min(x, 0)) - 1), which is 2 slope t / (1 - t) with t = tanh(min(x, 0) / 2)."""

    def number(value: float) -> str:
        return part.graph.constant(f"{np.dtype(kind)}.{value:.2f}", value, kind)

    half = part.node("Mul", [part.node("Min", [x, number(0)], "negative"), number(0.5)], "half")
    t = part.node("Tanh", [half], "tanh")
    ratio = part.node("Div", [t, part.node("Sub", [number(1), t], "rest")], "ratio")
    below = part.node("Mul", [ratio, number(2 * slope)], "below")
    return part.node("Add", [part.node("Relu", [x], "positive"), below], "activated")


def _softplus(part: StandardPart, x: str, kind) -> str:
    """log(1 + exp(x)): minus the logarithm of the second share of (x, 0)."""
    single = part.node("Unsqueeze", [x, part.integers(-1)], "single")
    pair = part.node("Mul", [single, part.graph.constant(f"{np.dtype(kind)}.pair", [1, 0], kind)], "pair")
    shares = part.node("LogSoftmax", [pair], "shares", axis=-1)
    return part.node("Neg", [part.node("Gather", [shares, part.integer(1)], "share", axis=-1)], "activated")


class Synthesis:
    """The nodes of a synthesis network; ``noise`` is "input", "const" or "none".

    What a lower precision does otherwise is in methods of their own: :mod:`dsb_fast.export.stylegan2_half`.
    """

    kind = np.float32  # of activations and what they meet

    def __init__(self, graph: Graph, network: StyleGan2Network, noise: str):
        self.graph, self.network, self.noise, self.filters = graph, network, noise, filters(network.filter)
        self.planes = {layer.name: index for index, layer in enumerate(network.noisy)}

    def build(self) -> None:
        """All blocks, to ``image``."""
        x, image = self.constant("synthesis.b4.const", self.network.const[None]), ""
        for block in self.network.blocks:
            x, image = self.block(block, x, image)
        self.graph.nodes[-1].output[0] = "image"

    def part(self, name: str) -> StandardPart:
        return StandardPart(self.graph, {}, f"{name}.")

    def constant(self, name: str, values) -> str:
        return self.graph.constant(name, values, self.kind)

    def block(self, block: Block, x: str, image: str) -> tuple[str, str]:
        """The block's activations, and the image so far: '' where there is none."""
        part, branch = self.part(block.name), ""
        if block.skip is not None:
            branch = self.branch(self.part(f"{block.name}.skip"), block.skip, x)
        for conv in block.convs:
            x = self.convolution(conv, x)
        x = part.node("Add", [x, branch], "joined") if branch else x
        if block.rgb is None:
            return x, image
        below = self.enlarged(part, image, len(block.rgb.bias), np.float32) if image else ""
        image = self.colours(block.rgb, x)
        return x, part.node("Add", [image, below], "image") if below else image

    def branch(self, part: StandardPart, weight: np.ndarray, x: str) -> str:
        """A resnet's side branch."""
        x = part.node("Conv", [x, self.constant(f"{part.name}weight", weight[:, :, None, None])], "out")
        return self.enlarged(part, x, len(weight), self.kind)

    def enlarged(self, part: StandardPart, image: str, channels: int, kind) -> str:
        """Twice the size: zeros between the samples, then the filter."""
        for index, f in enumerate(self.filters):
            taps = np.tile(f.taps, (channels, 1, 1, 1))
            taps = self.graph.constant(f"upsample.{index}.{channels}.{np.dtype(kind)}", taps, kind)
            how = {"strides": f.strides, "pads": f.crops, "group": channels}
            image = part.node("ConvTranspose", [image, taps], f"enlarged.{index}", **how)
        return image

    def style(self, part: StandardPart, layer: Modulated) -> str:
        row = self.graph.constant(f"integer.{layer.row}", layer.row, np.int64)
        return linear(self.graph, layer.style, part.node("Gather", ["w", row], "w", axis=1))

    def convolution(self, layer: Modulated, x: str) -> str:
        """A layer with noise, bias and activation; a gain that passes through it is in everything before."""
        part = self.part(layer.name)
        folded, left = (layer.gain, 1.0) if layer.activation in HOMOGENEOUS else (1.0, layer.gain)
        style = self.style(part, layer)
        squares = part.node("Mul", [style, style], "squares")
        powers = self.graph.constant(f"{part.name}energies", scaled(energies(layer.weight), folded**-2))
        least = self.graph.constant(f"{part.name}least", 1e-8 * folded**-2)
        norm = part.node("Sqrt", [part.node("Gemm", [squares, powers, least], "energy")], "norm")
        x = self.modulated(part, layer, x, style, part.node("Reciprocal", [norm], "inverse"))
        x = self.noisy(part, layer, x, folded)
        x = part.node("Add", [x, self.bias(part, scaled(layer.bias, folded))], "sum")
        return self.activated(part, x, layer, left)

    def modulated(self, part: StandardPart, layer: Modulated, x: str, style: str, inverse: str) -> str:
        """x times the style, convolved, times the demodulation."""
        x = self.sums(part, layer.weight, scale(part, x, style, "modulated"), layer.up)
        return scale(part, x, inverse, "demodulated")

    def sums(self, part: StandardPart, weight: np.ndarray, x: str, up: bool) -> str:
        """The convolution, to twice the size where ``up``."""
        channels, side = len(weight), weight.shape[2]
        if not up:
            return part.node("Conv", [x, self.constant(f"{part.name}weight", weight)], "out", pads=[side // 2] * 4)
        crops = [max(0, -int(n)) for n in np.sum([f.ends(side) for f in self.filters], axis=0)]
        weight = self.constant(f"{part.name}weight", weight.transpose(1, 0, 2, 3))
        x = part.node("ConvTranspose", [x, weight], "transposed", strides=[2, 2], pads=crops)
        for index, f in enumerate(self.filters):
            taps = np.tile(f.taps[::-1, ::-1], (channels, 1, 1, 1))
            taps = self.constant(f"filter.{index}.{channels}", taps)
            pads = [max(0, n) for n in f.ends(side)]
            x = part.node("Conv", [x, taps], f"filtered.{index}", pads=pads, group=channels)
        return x

    def noisy(self, part: StandardPart, layer: Modulated, x: str, gain: float) -> str:
        """x with the layer's noise added, as strong as the layer asks, times ``gain``."""
        if layer.noise_strength is None or self.noise == "none":
            return x
        strength = layer.noise_strength * gain
        if self.noise == "const":
            plane = layer.noise_const * np.float32(strength)  # as the graph multiplies a plane that is given
            plane = self.graph.constant(f"{part.name}noise", plane[None, None])
        else:
            factor = self.graph.constant(f"{part.name}noise_strength", strength)
            plane = part.node("Mul", [f"noise_{self.planes[layer.name]}", factor], "noise")
        return part.node("Add", [x, self.plane(part, plane)], "noisy")

    def plane(self, part: StandardPart, plane: str) -> str:
        """A plane of noise as it is added."""
        return plane

    def bias(self, part: StandardPart, bias: np.ndarray) -> str:
        return self.constant(f"{part.name}bias", bias.reshape(-1, 1, 1))

    def activated(self, part: StandardPart, x: str, layer: Modulated, gain: float) -> str:
        return activated(part, x, layer.activation, gain, layer.clamp)

    def colours(self, rgb: Modulated, x: str) -> str:
        part = self.part(rgb.name)
        x = scale(part, x, self.style(part, rgb), "modulated")
        constants = [self.constant(f"{part.name}{kind}", getattr(rgb, kind)) for kind in ("weight", "bias")]
        return activated(part, part.node("Conv", [x, *constants], "out"), "linear", clamp=rgb.clamp)


def scale(part: StandardPart, x: str, factors: str, output: str) -> str:
    """x with every channel of a sample multiplied by its factor."""
    planes = part.node("Reshape", [factors, part.integers(0, -1, 1, 1)], f"{output}.factors")
    return part.node("Mul", [x, planes], output)

"""NVIDIA's and rosinality's StyleGAN2 as nodes of standard operators.

As in :mod:`dsb_fast.export.lucid_portable`, modulation scales a layer's activations and demodulation its sums, so that
all samples share the weights. Zeros between the samples, filter and taps are a transposed convolution and then the
filter: docs/graphs.md.
"""

from __future__ import annotations

import numpy as np

from .lucid_builder import SLOPE, Graph, StandardPart
from .lucid_portable import energies
from .stylegan2_network import HOMOGENEOUS, Block, Linear, Modulated, StyleGan2Network, scaled

_OPERATORS = {name: name.capitalize() for name in ("relu", "tanh", "sigmoid")}
_SELU = 1.0507009873554805, 1.6732632423543772  # of all values, of the negative ones


def mapping(graph: Graph, network: StyleGan2Network, output: str) -> None:
    """``z`` and ``label`` to ``output`` [N, num_ws, w_dim], the same in all rows."""
    part = StandardPart(graph, {}, "mapping.")
    x = _normalised(part, "z", "latent", network.z_dim)
    if network.embed:
        label = _linear(graph, network.embed, "label")
        label = _normalised(part, label, "embedded", len(network.embed.bias))
        x = part.node("Concat", [x, label], "joined", axis=1)
    for layer in network.mapping:
        x = _linear(graph, layer, x)
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
    builder = _Synthesis(graph, network, noise)
    x, image = graph.constant("synthesis.b4.const", network.const[None]), ""
    for block in network.blocks:
        x, image = builder.block(block, x, image)
    graph.nodes[-1].output[0] = "image"


def _normalised(part: StandardPart, x: str, name: str, features: int) -> str:
    """x / sqrt(mean of x^2 + 1e-8), over the features of a sample."""
    share = part.graph.constant(f"mapping.{name}.share", 1 / features)
    mean = part.node("Mul", [part.node("ReduceSumSquare", [x], f"{name}.energy", axes=[1]), share], f"{name}.mean")
    least = part.node("Add", [mean, part.graph.constant("mapping.least", 1e-8)], f"{name}.least")
    return part.node("Div", [x, part.node("Sqrt", [least], f"{name}.norm")], name)


def _linear(graph: Graph, layer: Linear, x: str) -> str:
    part = StandardPart(graph, {}, f"{layer.name}.")
    inputs = [x, graph.constant(f"{part.name}weight", layer.weight), graph.constant(f"{part.name}bias", layer.bias)]
    return _activated(part, part.node("Gemm", inputs, "sum", transB=1), layer.activation, layer.gain)


def _activated(part: StandardPart, x: str, activation: str, gain: float = 1.0, clamp: float | None = None) -> str:
    """clamp(gain * activation(x)).

    Not ONNX's Elu, Selu and Softplus: ONNX Runtime rounds the values that are left over behind its vectors otherwise
    than those in them, and where vectors end depends on the batch.
    """
    if activation == "lrelu":
        x = part.node("LeakyRelu", [x], "activated", alpha=SLOPE)
    elif activation == "swish":
        x = part.node("Mul", [x, part.node("Sigmoid", [x], "sigmoid")], "activated")
    elif activation in ("elu", "selu"):
        scale, slope = _SELU if activation == "selu" else (1.0, 1.0)
        x, gain = _elu(part, x, slope), gain * scale
    elif activation == "softplus":
        x = _softplus(part, x)
    elif activation != "linear":
        x = part.node(_OPERATORS[activation], [x], "activated")
    if gain != 1.0:
        x = part.node("Mul", [x, part.graph.constant(f"{part.name}gain", gain)], "scaled")
    if clamp is not None:
        low, high = (part.graph.constant(f"{part.name}clamp.{n}", n * clamp) for n in (-1, 1))
        x = part.node("Clip", [x, low, high], "clamped")
    return x


def _elu(part: StandardPart, x: str, slope: float) -> str:
    """max(x, 0) + slope (exp(min(x, 0)) - 1), which is 2 slope t / (1 - t) with t = tanh(min(x, 0) / 2)."""
    number = part.graph.constant
    half = part.node("Mul", [part.node("Min", [x, number("zero", 0)], "negative"), number("half", 0.5)], "half")
    t = part.node("Tanh", [half], "tanh")
    ratio = part.node("Div", [t, part.node("Sub", [number("one", 1), t], "rest")], "ratio")
    below = part.node("Mul", [ratio, number(f"elu.{slope:.2f}", 2 * slope)], "below")
    return part.node("Add", [part.node("Relu", [x], "positive"), below], "activated")


def _softplus(part: StandardPart, x: str) -> str:
    """log(1 + exp(x)): minus the logarithm of the second share of (x, 0)."""
    single = part.node("Unsqueeze", [x, part.integers(-1)], "single")
    pair = part.node("Mul", [single, part.graph.constant("softplus", [1, 0])], "pair")
    shares = part.node("LogSoftmax", [pair], "shares", axis=-1)
    return part.node("Neg", [part.node("Gather", [shares, part.integer(1)], "share", axis=-1)], "activated")


class Filter:
    """A resample filter over the axes ``x`` and ``y``, made up for the zeros between samples: ``taps`` [height, width].

    An axis has two taps or more: a single one acts as the second of two, by the families' rules of padding.
    """

    def __init__(self, taps: np.ndarray, x: bool = True, y: bool = True):
        self.x, self.y = x, y
        taps = np.pad(taps, [(int(axis and n == 1), 0) for axis, n in zip((y, x), taps.shape, strict=True)])
        self.taps = taps * (2 if x else 1) * (2 if y else 1)

    def ends(self, side: int) -> list[int]:
        """Zeros before and after each axis ([top, left, bottom, right], negative: crops) around what a transposed
        convolution of ``side`` x ``side`` taps made."""
        (height, width), half = self.taps.shape, side // 2
        before = [(n + 1) // 2 - half if axis else 0 for n, axis in ((height, self.y), (width, self.x))]
        return before + [n // 2 - half if axis else 0 for n, axis in ((height, self.y), (width, self.x))]

    @property
    def strides(self) -> list[int]:
        return [1 + self.y, 1 + self.x]

    @property
    def crops(self) -> list[int]:
        """What is too much of the transposed convolution that enlarges an image with these taps."""
        sizes = [(n, axis) for n, axis in zip(self.taps.shape, (self.y, self.x), strict=True)]
        before = [n - 1 - (n + 1) // 2 if axis else 0 for n, axis in sizes]
        return before + [n - 2 - (n - 2) // 2 if axis else 0 for n, axis in sizes]


def filters(taps: np.ndarray) -> list[Filter]:
    """The filter of a network, or one for each axis of a separable one."""
    taps = np.float64(taps)
    return [Filter(taps)] if taps.ndim == 2 else [Filter(taps[None, :], y=False), Filter(taps[:, None], x=False)]


class _Synthesis:
    """The nodes of a synthesis network; ``noise`` is "input", "const" or "none"."""

    def __init__(self, graph: Graph, network: StyleGan2Network, noise: str):
        self.graph, self.noise, self.filters = graph, noise, filters(network.filter)
        self.planes = {layer.name: index for index, layer in enumerate(network.noisy)}

    def part(self, name: str) -> StandardPart:
        return StandardPart(self.graph, {}, f"{name}.")

    def block(self, block: Block, x: str, image: str) -> tuple[str, str]:
        """The block's activations, and the image so far: '' where there is none."""
        part, branch = self.part(block.name), ""
        if block.skip is not None:
            weight = self.graph.constant(f"{block.name}.skip.weight", block.skip[:, :, None, None])
            branch = part.node("Conv", [x, weight], "skip.out")
            branch = self.enlarged(self.part(f"{block.name}.skip"), branch, len(block.skip))
        for conv in block.convs:
            x = self.convolution(conv, x)
        x = part.node("Add", [x, branch], "joined") if branch else x
        if block.rgb is None:
            return x, image
        below = self.enlarged(part, image, len(block.rgb.bias)) if image else ""
        image = self.colours(block.rgb, x)
        return x, part.node("Add", [image, below], "image") if below else image

    def enlarged(self, part: StandardPart, image: str, channels: int) -> str:
        """Twice the size: zeros between the samples, then the filter."""
        for index, f in enumerate(self.filters):
            taps = self.graph.constant(f"upsample.{index}.{channels}", np.tile(f.taps, (channels, 1, 1, 1)))
            how = {"strides": f.strides, "pads": f.crops, "group": channels}
            image = part.node("ConvTranspose", [image, taps], f"enlarged.{index}", **how)
        return image

    def styled(self, part: StandardPart, layer: Modulated, x: str) -> tuple[str, str]:
        """x with its channels multiplied by the style, and the style."""
        row = self.graph.constant(f"integer.{layer.row}", layer.row, np.int64)
        w = part.node("Gather", ["w", row], "w", axis=1)
        style = _linear(self.graph, layer.style, w)
        return _scale(part, x, style, "modulated"), style

    def convolution(self, layer: Modulated, x: str) -> str:
        """A layer with noise, bias and activation; a gain that passes through it is in everything before."""
        part = self.part(layer.name)
        folded, left = (layer.gain, 1.0) if layer.activation in HOMOGENEOUS else (1.0, layer.gain)
        x, style = self.styled(part, layer, x)
        x = self.sums(part, layer, x)
        squares = part.node("Mul", [style, style], "squares")
        powers = self.graph.constant(f"{part.name}energies", scaled(energies(layer.weight), folded**-2))
        least = self.graph.constant(f"{part.name}least", 1e-8 * folded**-2)
        norm = part.node("Sqrt", [part.node("Gemm", [squares, powers, least], "energy")], "norm")
        x = _scale(part, x, part.node("Reciprocal", [norm], "inverse"), "demodulated")
        x = self.noisy(part, layer, x, folded)
        bias = self.graph.constant(f"{part.name}bias", scaled(layer.bias, folded).reshape(-1, 1, 1))
        return _activated(part, part.node("Add", [x, bias], "sum"), layer.activation, left, layer.clamp)

    def sums(self, part: StandardPart, layer: Modulated, x: str) -> str:
        side = layer.weight.shape[2]
        if not layer.up:
            weight = self.graph.constant(f"{part.name}weight", layer.weight)
            return part.node("Conv", [x, weight], "out", pads=[side // 2] * 4)
        ends = np.sum([f.ends(side) for f in self.filters], axis=0)
        weight = self.graph.constant(f"{part.name}weight", layer.weight.transpose(1, 0, 2, 3))
        crops = [max(0, -int(n)) for n in ends]
        x, channels = part.node("ConvTranspose", [x, weight], "transposed", strides=[2, 2], pads=crops), len(layer.bias)
        for index, f in enumerate(self.filters):
            taps = np.tile(f.taps[::-1, ::-1], (channels, 1, 1, 1))
            taps = self.graph.constant(f"filter.{index}.{channels}", taps)
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
        return part.node("Add", [x, plane], "noisy")

    def colours(self, rgb: Modulated, x: str) -> str:
        part = self.part(rgb.name)
        x, _ = self.styled(part, rgb, x)
        constants = [self.graph.constant(f"{part.name}{kind}", getattr(rgb, kind)) for kind in ("weight", "bias")]
        return _activated(part, part.node("Conv", [x, *constants], "out"), "linear", clamp=rgb.clamp)


def _scale(part: StandardPart, x: str, factors: str, output: str) -> str:
    """x with every channel of a sample multiplied by its factor."""
    planes = part.node("Reshape", [factors, part.integers(0, -1, 1, 1)], f"{output}.factors")
    return part.node("Mul", [x, planes], output)

"""stylegan2-pytorch's generator as a portable graph of standard operators, versions 1.5.10 to 1.9.0.

Modulation scales a layer's activations by its style + 1, demodulation scales what the layer makes of them: the weights
are the same for every sample, so that the batch stays free and TensorRT takes the graph. docs/graphs.md tells what was
tried and lists the tensors.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from dsb_fast import random

from .lucid_attention import attention
from .lucid_builder import (
    SLOPE,
    START,
    Graph,
    Part,
    StandardPart,
    Tensors,
    blocks_of,
    image_shape,
    latent_of,
    layers_of,
    model,
    noise_shape,
)

_BLUR = np.outer([1, 2, 1], [1, 2, 1]) / 16


def build(
    mapping: Tensors, generator: Tensors, mean_style: np.ndarray, lr_mlp: float, attention: str | None = None
) -> onnx.ModelProto:
    """The whole network; arguments, inputs and output are those of :func:`dsb_fast.export.lucid_graph.build_fused`."""
    graph = _whole(mapping, generator, mean_style, lr_mlp, attention)
    inputs = {"z": ["N", latent_of(generator)], "noise": noise_shape(generator), "truncation_psi": []}
    return model(graph, "lucid", inputs, {"image": image_shape(generator)})


def build_mapping(mapping: Tensors, lr_mlp: float) -> onnx.ModelProto:
    """The mapping network alone: input ``z``, output ``w``, not truncated, float32 [N, D] both."""
    graph = Graph("")
    mapping_nodes(StandardPart(graph, mapping), lr_mlp)
    graph.nodes[-1].output[0] = "w"
    size = ["N", mapping["net.0.weight"].shape[1]]
    return model(graph, "lucid_mapping", {"z": size}, {"w": size})


def build_synthesis(generator: Tensors, attention: str | None = None) -> onnx.ModelProto:
    """The generator alone: inputs ``w`` [N, blocks, D], a style a block, and ``noise`` [N, S, S]; output ``image``."""
    graph = Graph("", attention)
    _synthesis(StandardPart(graph, generator), rows=True)
    inputs = {"w": ["N", blocks_of(generator), latent_of(generator)], "noise": noise_shape(generator)}
    return model(graph, "lucid_synthesis", inputs, {"image": image_shape(generator)})


def build_fidelity(
    mapping: Tensors, generator: Tensors, mean_style: np.ndarray, lr_mlp: float, truncation: float = 1.0,
    attention: str | None = None,
) -> onnx.ModelProto:  # fmt: skip
    """For torch-fidelity: input ``z`` [N, D], output ``image`` uint8 [N, channels, S, S].

    ``image`` is clamp(image, 0, 1) * 255 + 0.5, cut down. torch-fidelity hands over nothing but z, so all else is
    inside: ``truncation``, and as the noise of every image the map of sample 0 of seed 0 (stream 1, docs/identity.md).
    An image is then a function of its z alone, whatever the batch and the runs before, which no random operator
    promises. torch-fidelity itself wants three channels.
    """
    graph = _whole(mapping, generator, mean_style, lr_mlp, attention)
    graph.nodes[-1].output[0] = "image.float"
    graph.constant("noise", random.uniform(0, 0, 1, noise_shape(generator)[1:], stream=1))
    graph.constant("truncation_psi", truncation)
    y = graph.node("Clip", ["image.float", graph.constant("black", 0), graph.constant("white", 1)], "image.clamped")
    y = graph.node("Mul", [y, graph.constant("levels", 255)], "image.scaled")
    y = graph.node("Add", [y, graph.constant("half", 0.5)], "image.levels")
    graph.node("Cast", [y], "image", to=TensorProto.UINT8)
    inputs = {"z": ["N", latent_of(generator)]}
    return model(graph, "lucid_fidelity", inputs, {"image": image_shape(generator)}, TensorProto.UINT8)


def energies(weight: np.ndarray) -> np.ndarray:
    """Sum over the taps of weight squared, [in, out], summed tap by tap in float64 and rounded once."""
    squares = np.float64(weight).reshape(*weight.shape[:2], -1) ** 2
    total = np.zeros(weight.shape[:2])
    for tap in range(squares.shape[2]):
        total += squares[:, :, tap]
    return np.ascontiguousarray(total.T, np.float32)


def _whole(mapping: Tensors, generator: Tensors, mean_style: np.ndarray, lr_mlp: float, attention: str | None) -> Graph:
    graph = Graph("", attention)
    truncated_styles(graph, mapping, mean_style, lr_mlp)
    _synthesis(StandardPart(graph, generator), rows=False)
    return graph


def truncated_styles(graph: Graph, tensors: Tensors, mean_style: np.ndarray, lr_mlp: float) -> None:
    """``z`` through the mapping network and ``truncation_psi``, to ``w``."""
    w = mapping_nodes(StandardPart(graph, tensors), lr_mlp)
    mean = graph.constant("mean_style", np.reshape(mean_style, -1))
    moved = graph.node("Mul", [graph.node("Sub", [w, mean], "w.apart"), "truncation_psi"], "w.moved")
    graph.node("Add", [moved, mean], "w")


def mapping_nodes(s: StandardPart, lr_mlp: float) -> str:
    length = s.node("ReduceL2", ["z"], "z.length", axes=[1])
    length = s.node("Max", [length, s.graph.constant("z.least", 1e-12)], "z.divisor")
    w = s.node("Div", ["z", length], "latent")
    for layer in layers_of(s.tensors):
        inputs = [w, s.constant(f"net.{layer}.weight"), s.constant(f"net.{layer}.bias")]
        y = s.node("Gemm", inputs, f"net.{layer}.sum", alpha=lr_mlp, beta=lr_mlp, transB=1)
        w = s.node("LeakyRelu", [y], f"net.{layer}.out", alpha=SLOPE)
    return w


def _synthesis(g: StandardPart, rows: bool) -> None:
    """``rows``: w has a style a block, else one for all of them."""
    x, image, blocks = _start(g, rows), "", blocks_of(g.tensors)
    plane = g.node("Unsqueeze", ["noise", g.integers(1)], "noise.plane")
    for index in range(blocks):
        size = 4 << index
        x = attention(g.part(f"attns.{index}"), x, size // 2 if index else size)
        block = g.part(f"blocks.{index}")
        corner = block.node("Slice", [plane, g.integers(0, 0), g.integers(size, size), g.integers(2, 3)], "corner")
        noise = block.node("Transpose", [corner], "noise", perm=[0, 1, 3, 2])
        w = block.node("Gather", ["w", g.integer(index)], "w", axis=1) if rows else "w"
        for k in "12":
            x = _convolution(block, x, w, noise, k, up=bool(index) and k == "1")
        image = _colours(block.part("to_rgb"), x, w, image, last=index == blocks - 1)
    g.graph.nodes[-1].output[0] = "image"


def _start(g: StandardPart, rows: bool) -> str:
    """The 4 x 4 map, learned or made of the mean style, after its plain convolution.

    A learned one has a batch of one, so that it is computed once, as the session is made.
    """
    x = g.constant("initial_block")
    if not x:  # a transposed convolution of a single point
        w = g.mean_row("w", blocks_of(g.tensors), latent_of(g.tensors)) if rows else "w"
        weight = g[f"{START}weight"]
        matrix = g.graph.constant(f"{START}weight", weight.reshape(len(weight), -1))
        x = g.node("Gemm", [w, matrix], f"{START}out")
        x = g.node("Reshape", [x, g.integers(0, *weight.shape[1:])], f"{START}map")
    return g.conv(x, "initial_conv", pads=[1] * 4)


def factors_of(part: Part, w: str, layer: str) -> str:
    """style + 1, [N, channels]."""
    bias = part.graph.constant(f"{part.name}{layer}.bias", part[f"{layer}.bias"] + np.float32(1))
    return part.node("Gemm", [w, part.constant(f"{layer}.weight"), bias], f"{layer}.out", transB=1)


def _scale(part: StandardPart, x: str, factors: str, name: str) -> str:
    """x with every channel of a sample multiplied by its factor."""
    planes = part.node("Reshape", [factors, part.integers(0, -1, 1, 1)], f"{name}.factors")
    return part.node("Mul", [x, planes], f"{name}.scaled")


def _convolution(block: StandardPart, x: str, w: str, noise: str, k: str, up: bool) -> str:
    """One modulated layer with its noise; the factors go in before the upsampling, where there are fewer points."""
    name, factors = f"conv{k}", factors_of(block, w, f"to_style{k}")
    x = _scale(block, x, factors, name)
    x = _upsample(block, x, f"{name}.up") if up else x
    x = block.conv(x, name, pads=[1] * 4)
    squares = block.node("Mul", [factors, factors], f"{name}.squares")
    sums = block.graph.constant(f"{block.name}{name}.energies", energies(block[f"{name}.weight"]))
    least = block.graph.constant("demodulation.least", 1e-8)
    root = block.node("Sqrt", [block.node("Gemm", [squares, sums, least], f"{name}.energy")], f"{name}.norm")
    x = _scale(block, x, block.node("Reciprocal", [root], f"{name}.inverse"), f"{name}.demodulated")
    gains = block.constant(f"to_noise{k}.weight", -1, 1, 1, 1)
    added = block.node("Conv", [noise, gains, block.constant(f"to_noise{k}.bias")], f"to_noise{k}.out")
    return block.node("LeakyRelu", [block.node("Add", [x, added], f"{name}.sum")], f"{name}.activated", alpha=SLOPE)


def _colours(rgb: StandardPart, x: str, w: str, below: str, last: bool) -> str:
    """The image so far: this block's part and what came from below, enlarged and blurred unless it is the last."""
    image = rgb.conv(_scale(rgb, x, factors_of(rgb, w, "to_style"), "conv"), "conv")
    image = rgb.node("Add", [image, below], "sum") if below else image
    if last:
        return image
    image = _upsample(rgb, image, "up")
    channels = len(rgb["conv.weight"])
    taps = rgb.graph.constant("blur.taps", np.tile(_BLUR, (channels, 1, 1, 1)))
    image = rgb.node("Pad", [image, rgb.integers(0, 0, 1, 1, 0, 0, 1, 1)], "padded", mode="reflect")
    return rgb.node("Conv", [image, taps], "blurred", group=channels)


def _upsample(part: StandardPart, x: str, output: str) -> str:
    scales = part.graph.constant("twice", [1, 1, 2, 2])
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return part.node("Resize", [x, "", scales], output, **how)

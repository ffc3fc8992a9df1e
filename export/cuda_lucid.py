"""stylegan2-pytorch's generator as a graph of flavour "cuda", versions 1.5.10 to 1.9.0."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from dsb_fast._models.on_device import NOT_NUMBERS

from .cuda_attention import attention as attention_nodes
from .cuda_graph import CudaGraph, cuda_model
from .cuda_modulation import Modulation, clamp_of, colours, modulation
from .lucid_builder import SLOPE, START, StandardPart, Tensors, blocks_of, image_shape, latent_of, noise_shape
from .lucid_portable import factors_of, mapping_nodes, truncated_styles

_LEVELS = {"scale": 255.0, "offset": 0.5}  # of black 0 and white 1


def build(
    mapping: Tensors, generator: Tensors, mean_style: np.ndarray, lr_mlp: float, attention: str | None = None,
    precision: str = "fp32", levels: bool = False,
) -> onnx.ModelProto:  # fmt: skip
    """The whole network; arguments, inputs and output are those of :func:`dsb_fast.export.lucid_graph.build_fused`.

    With ``levels`` the outputs are ``levels`` uint8 [N, S, S, channels] and ``not_numbers`` int32 [1]. ``precision``
    "fp16": the generator's convolutions and activations are float16, mapping, styles, attention and image float32.
    """
    g = CudaGraph(precision, attention)
    truncated_styles(g, mapping, mean_style, lr_mlp)
    image = _synthesis(StandardPart(g, generator), rows=False)
    inputs = {"z": ["N", latent_of(generator)], "noise": noise_shape(generator), "truncation_psi": []}
    return _ended(g, image, "lucid", inputs, image_shape(generator), levels)


def build_mapping(mapping: Tensors, lr_mlp: float) -> onnx.ModelProto:
    """The mapping network alone: input ``z``, output ``w``, not truncated, float32 [N, D] both."""
    g = CudaGraph()
    mapping_nodes(StandardPart(g, mapping), lr_mlp)
    g.nodes[-1].output[0] = "w"
    size = ["N", mapping["net.0.weight"].shape[1]]
    return cuda_model(g, "lucid_mapping", {"z": size}, {"w": size})


def build_synthesis(
    generator: Tensors, attention: str | None = None, precision: str = "fp32", levels: bool = False
) -> onnx.ModelProto:
    """The generator alone: inputs ``w`` [N, blocks, D], a style a block, and ``noise`` [N, S, S]."""
    g = CudaGraph(precision, attention)
    image = _synthesis(StandardPart(g, generator), rows=True)
    inputs = {"w": ["N", blocks_of(generator), latent_of(generator)], "noise": noise_shape(generator)}
    return _ended(g, image, "lucid_synthesis", inputs, image_shape(generator), levels)


def _ended(g: CudaGraph, image: str, name: str, inputs: dict, shape: list, levels: bool) -> onnx.ModelProto:
    return with_levels(g, image, name, inputs, shape, _LEVELS) if levels else with_image(g, image, name, inputs, shape)


def with_image(g: CudaGraph, image: str, name: str, inputs: dict, shape: list) -> onnx.ModelProto:
    """The model whose output ``image`` is ``image`` [N, S, S, channels] as float32 of ``shape``, NCHW."""
    g.node("Transpose", [image], "image", perm=[0, 3, 1, 2])
    return cuda_model(g, name, inputs, {"image": shape})


def with_levels(g: CudaGraph, image: str, name: str, inputs: dict, shape: list, how: dict) -> onnx.ModelProto:
    """The model whose output ``levels`` are the grey levels of ``image``, uint8 NHWC; ``how``: scale and offset."""
    g.ours("ToUint8", [image], ["levels", NOT_NUMBERS], **how)
    outputs = {"levels": [shape[0], *shape[2:], shape[1]], NOT_NUMBERS: [1]}
    kinds = {"levels": TensorProto.UINT8, NOT_NUMBERS: TensorProto.INT32}
    return cuda_model(g, f"{name}_levels", inputs, outputs, kinds)


def _synthesis(p: StandardPart, rows: bool) -> str:
    """``w`` and ``noise`` to the image, float32 [N, S, S, channels]; ``rows``: w has a style a block."""
    x, image, blocks = _start(p, rows), "", blocks_of(p.tensors)
    planes = p.node("Transpose", ["noise"], "planes", perm=[0, 2, 1])
    for index in range(blocks):
        block, size = p.part(f"blocks.{index}"), 4 << index
        x = attention_nodes(p.part(f"attns.{index}"), x, size // 2 if index else size)
        ends = [block.integers(*numbers) for numbers in ((0, 0), (size, size), (1, 2))]
        plane = block.node("Slice", [planes, *ends], "plane")
        w = block.node("Gather", ["w", block.integer(index)], "w", axis=1) if rows else "w"
        x = _block(block, x, w, plane, up=bool(index))
        image = _colours(block.part("to_rgb"), x, w, image, size, last=index == blocks - 1)
    return image


def _start(p: StandardPart, rows: bool) -> str:
    """The 4 x 4 map, learned or made of the mean style, after its plain convolution: [1 or N, 4, 4, C]."""
    g = p.graph
    if "initial_block" in p:
        x = g.constant("initial_block", p["initial_block"].transpose(0, 2, 3, 1), g.kind)
    else:  # a transposed convolution of a single point
        w = p.mean_row("w", blocks_of(p.tensors), latent_of(p.tensors)) if rows else "w"
        weight = p[f"{START}weight"].transpose(0, 2, 3, 1)
        y = p.node("MatMul", [w, g.constant(f"{START}weight", weight.reshape(len(weight), -1))], f"{START}out")
        x = g.cast(p.node("Reshape", [y, g.shape(0, *weight.shape[1:])], f"{START}map"), f"{START}half")
    y = g.conv(x, "initial_conv", p["initial_conv.weight"], pads=[1] * 4)
    return g.epilogue(y, "initial_conv.out", bias=p.constant("initial_conv.bias"), clamp=clamp_of(g, None))


def _layer(block: StandardPart, w: str, k: str) -> Modulation:
    return modulation(block.part(f"conv{k}"), factors_of(block, w, f"to_style{k}"), block[f"conv{k}.weight"])


def _block(block: StandardPart, x: str, w: str, plane: str, up: bool) -> str:
    """Both layers. The style of the second is multiplied in where the first ends."""
    g, (first, second) = block.graph, (_layer(block, w, k) for k in "12")
    if up:
        x = g.ours("UpsampleBilinear2d", [x, first.scale], [f"{block.name}up"])[0]
    else:
        x = g.scale(x, first.scale, f"{block.name}scaled")
    x = _convolved(block, "1", first, x, plane, scale=second.scale, keep=False)
    return _convolved(block, "2", second, x, plane)


def _convolved(block: StandardPart, k: str, layer: Modulation, x: str, plane: str, **more) -> str:
    g, name = block.graph, f"{block.name}conv{k}"
    gains, bias = block.constant(f"to_noise{k}.weight", -1), block.constant(f"to_noise{k}.bias")
    return g.epilogue(
        g.conv(x, name, layer.weight, pads=[1] * 4), f"{name}.out", "lrelu", alpha=SLOPE, plane=plane,
        demodulation=layer.demodulation, plane_weight=gains, bias=bias, clamp=clamp_of(g, None), **more,
    )  # fmt: skip


def _colours(rgb: StandardPart, x: str, w: str, below: str, size: int, last: bool) -> str:
    """The image so far: this block's part and what came from below, enlarged and blurred unless it is the last."""
    g = rgb.graph
    sums, restored = colours(rgb.part("conv"), factors_of(rgb, w, "to_style"), rgb["conv.weight"], x, size)
    if restored:
        image = g.epilogue(sums, f"{rgb.name}out", demodulation=restored, residual=below)
    else:
        image = rgb.node("Add", [sums, below], "out") if below else sums
    if last:
        return image
    image = g.ours("UpsampleBilinear2d", [image], [f"{rgb.name}up"])[0]
    image = rgb.node("Pad", [image, rgb.integers(0, 1, 1, 0, 0, 1, 1, 0)], "padded", mode="reflect")
    taps = g.constant("blur.taps", np.array([1, 2, 1]) / 4)
    return g.ours("Upfirdn2d", [image, taps], [f"{rgb.name}blurred"], up=[1, 1], down=[1, 1], padding=[0] * 4)[0]

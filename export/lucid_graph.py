"""stylegan2-pytorch's generator as a graph of operators of domain ``dsb_fast``, versions 1.5.10 to 1.9.0."""

from __future__ import annotations

import numpy as np
import onnx

from .ecg_graph import DOMAIN
from .lucid_builder import (
    FEATURES,
    HEADS,
    SLOPE,
    Graph,
    Part,
    Tensors,
    blocks_of,
    image_shape,
    latent_of,
    layers_of,
    model,
    noise_shape,
)

_EPS = 1e-5  # of every norm
_MOST_CHANNELS, _MOST_COLOURS = 32, 4  # of a block that makes an image only


class FusedPart(Part):
    """With layers of operators of domain ``dsb_fast``."""

    def layer(self, op: str, x: str, layer: str, **attributes) -> str:
        """A node with that layer's weight and bias, if it has one."""
        inputs = [x, self.constant(f"{layer}.weight"), self.constant(f"{layer}.bias")]
        return self.node(op, inputs, f"{layer}.out", **attributes)

    def last(self, layer: str) -> tuple[float | None, str, str]:
        """Gain, weight and bias of the layer that ends a part; a g a channel goes into weight and bias."""
        names, gain = (f"{layer}.weight", f"{layer}.bias"), self.gain()
        if len(gain) == 1:
            return (float(gain[0]) if "g" in self else None), *map(self.constant, names)
        return None, *(self.graph.constant(self.name + name, self.scaled(name, gain)) for name in names)


def build_fused(
    mapping: Tensors, generator: Tensors, mean_style: np.ndarray, lr_mlp: float, attention: str | None = None
) -> onnx.ModelProto:
    """The whole network of operators of domain ``dsb_fast`` (docs/operators.md).

    Inputs ``z`` [N, D], ``noise`` [N, S, S] (row, column, as the package has it) and ``truncation_psi``, a number;
    output ``image`` [N, channels, S, S], not clamped; all float32. ``mapping`` and ``generator`` are the tensors of S
    and G, or of SE and GE; ``mean_style`` [D] is what styles are drawn towards; ``lr_mlp`` is the learning rate
    multiplier of the mapping network. ``attention`` is whose attention it is (:class:`dsb_fast.export.lucid.Lucid`);
    left out, it is the last that has tensors of such names.
    """
    graph = Graph(DOMAIN, attention)
    w = _mapping(FusedPart(graph, mapping), lr_mlp)
    mean = graph.constant("mean_style", np.reshape(mean_style, -1))
    w = graph.node("Truncate", [w, mean, "truncation_psi"], "w")
    _synthesis(FusedPart(graph, generator), w, rows=False)
    inputs = {"z": ["N", latent_of(generator)], "noise": noise_shape(generator), "truncation_psi": []}
    return model(graph, "lucid", inputs, {"image": image_shape(generator)})


def build_fused_mapping(mapping: Tensors, lr_mlp: float) -> onnx.ModelProto:
    """The mapping network alone: input ``z``, output ``w``, not truncated, float32 [N, D] both."""
    graph = Graph(DOMAIN)
    _mapping(FusedPart(graph, mapping), lr_mlp)
    graph.nodes[-1].output[0] = "w"
    size = ["N", mapping["net.0.weight"].shape[1]]
    return model(graph, "lucid_mapping", {"z": size}, {"w": size})


def build_fused_synthesis(generator: Tensors, attention: str | None = None) -> onnx.ModelProto:
    """The generator alone: inputs ``w`` [N, blocks, D], a style a block, and ``noise``; output ``image``.

    ``noise``, ``image`` and ``attention`` are those of :func:`build_fused`.
    """
    graph = Graph(DOMAIN, attention)
    _synthesis(FusedPart(graph, generator), "w", rows=True)
    inputs = {"w": ["N", blocks_of(generator), latent_of(generator)], "noise": noise_shape(generator)}
    return model(graph, "lucid_synthesis", inputs, {"image": image_shape(generator)})


def _mapping(s: FusedPart, lr_mlp: float) -> str:
    w = s.node("NormalizeLatent", ["z"], "latent", kind="l2")
    for layer in layers_of(s.tensors):
        w = s.layer("Dense", w, f"net.{layer}", weight_gain=lr_mlp, bias_gain=lr_mlp, act="lrelu", alpha=SLOPE)
    return w


def _synthesis(g: FusedPart, w: str, rows: bool) -> None:
    """``rows``: w has a style a block, else one for all of them."""
    x, image, blocks = _start(g, w), "", blocks_of(g.tensors)
    for index in range(blocks):
        x = attention(g.part(f"attns.{index}"), x)
        block, size = g.part(f"blocks.{index}"), 4 << index
        plane = block.node("NoisePlane", ["noise"], "noise", size=size)
        row = index if rows else None
        rgb = block.part("to_rgb")
        to_rgb = [rgb.constant("conv.weight"), rgb.layer("Dense", w, "to_style", row=row)]
        colours, channels = rgb["conv.weight"].shape[:2]
        last = index == blocks - 1
        if last and channels <= _MOST_CHANNELS and colours <= _MOST_COLOURS:  # nothing else reads this block's image
            _block(block, x, w, plane, row, [*to_rgb, image], upsample="bilinear" if index else None)
            break
        x = _block(block, x, w, plane, row, [], upsample="bilinear" if index else None)
        image = rgb.node("ModulatedConv2d", [x, *to_rgb, "", "", "", "", image], "out", style_offset=1.0, demodulate=0)
        if not last:
            image = rgb.node("Blur2d", [rgb.node("UpsampleBilinear2d", [image], "up")], "blurred")
    g.graph.nodes[-1].output[0] = "image"


def _block(block: FusedPart, x: str, w: str, plane: str, row: int | None, colours: list[str], **attributes) -> str:
    """Both convolutions, and with weight, styles and residual in ``colours`` what :func:`_synthesis` makes of them."""
    styles = [block.layer("Dense", w, f"to_style{k}", row=row) for k in "12"]
    weights = [block.constant(f"conv{k}.weight") for k in "12"]
    noise = []
    for k in "12":
        noise += [block.constant(f"to_noise{k}.bias"), block.constant(f"to_noise{k}.weight", -1)]
    inputs = [x, *weights, *styles, plane, *noise, *colours]
    return block.node("StyleBlock", inputs, "out", style_offset=1.0, act="lrelu", alpha=SLOPE, gain=1.0, **attributes)


def _start(g: FusedPart, w: str) -> str:
    """The 4 x 4 map, learned or made of the mean style, after its plain convolution.

    A learned one is the same for all samples: it is computed for one, which ONNX Runtime does as the session is made.
    """
    x = g.constant("initial_block")
    if not x:  # a transposed convolution of a single point
        weight = g["to_initial_block.weight"]
        matrix = g.graph.constant("to_initial_block.weight", weight.reshape(len(weight), -1).T)
        x = g.node("Dense", [w, matrix], "to_initial_block.out", shape=list(weight.shape[1:]))
    weight, bias = g.constant("initial_conv.weight"), g.constant("initial_conv.bias")
    ones = g.graph.constant("initial_conv.styles", np.ones((1, g["initial_conv.weight"].shape[1])))
    inputs = [x, weight, ones, "", bias]
    return g.node("ModulatedConv2d", inputs, "initial_conv.out", padding=[1] * 4, demodulate=0)


def attention(part: FusedPart, x: str) -> str:
    """The attention and its feed-forward, or ``x`` where the block has none."""
    first, second = part.part("0.fn"), part.part("1.fn")
    if "fn.to_q.weight" not in first:
        return x
    x = _attend_1_6(first, x) if "fn.to_kv.net.0.weight" in first else _attend_1_5(first, x)
    gain, w2, b2 = second.last("fn.2")
    w1, b1 = (second.constant(f"fn.0.{kind}") for kind in ("weight", "bias"))
    return second.node("FeedForward", [_norm(second, x), w1, w2, b1, b2, x], "out", slope=SLOPE, gain=gain)


def _norm(part: FusedPart, x: str) -> str:
    """What the part normalises its input to: ``x`` itself in 1.6.0 and 1.7.0, which do not."""
    if "norm.weight" in part:  # 1.8.3 and 1.8.4
        inputs = [x, part.constant("norm.weight"), part.constant("norm.bias")]
        return part.node("InstanceNorm", inputs, "norm.out", eps=_EPS)
    if "norm.g" not in part:
        return x
    inputs = [x, part.constant("norm.g", -1), part.constant("norm.b", -1)]
    eps_to = "deviation" if part.graph.attention == "1.8.0" else None
    return part.node("ChannelNorm", inputs, "norm.out", eps=_EPS, eps_to=eps_to)


def _attend_1_5(part: FusedPart, x: str) -> str:
    gain, to_out, out_bias = part.last("fn.to_out")
    weights = [part.constant(f"fn.to_{n}.weight") for n in "qkv"]
    biases = [part.constant(f"fn.to_{n}.bias") for n in "qv"]  # k's does nothing
    inputs = [x, x, *weights, to_out, *biases, out_bias, x]
    scale = FEATURES**-0.25
    return part.node("Attention", inputs, "out", heads=HEADS, q_scale=scale, k_scale=scale, gain=gain)


def _attend_1_6(part: FusedPart, x: str) -> str:
    """Of 1.6.0 and all later versions, which differ in what the input is normalised by."""
    normal, (gain, to_out, out_bias) = _norm(part, x), part.last("fn.to_out")
    near = part.node("DepthwiseConv2d", [normal, part.constant("fn.to_kv.net.0.weight")], "near", padding=1)
    halves = zip("kv", np.split(part["fn.to_kv.net.1.weight"], 2), strict=True)
    to_k, to_v = (part.graph.constant(f"{part.name}fn.to_{n}.weight", half) for n, half in halves)
    inputs = [normal, near, part.constant("fn.to_q.weight"), to_k, to_v, to_out, "", "", out_bias, x]
    return part.node("Attention", inputs, "out", heads=HEADS, out_scale=FEATURES**-0.5, act="gelu", gain=gain)

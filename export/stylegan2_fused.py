"""NVIDIA's and rosinality's StyleGAN2 as nodes of operators of domain ``dsb_fast`` (docs/operators.md).

Standard operators only join the label to z and repeat w in its rows.
"""

from __future__ import annotations

import numpy as np

from .lucid_builder import SLOPE, Graph
from .stylegan2_network import Block, Linear, Modulated, StyleGan2Network


def mapping(graph: Graph, network: StyleGan2Network, output: str) -> None:
    """``z`` and ``label`` to ``output`` [N, num_ws, w_dim], the same in all rows."""
    x = graph.node("NormalizeLatent", ["z"], "mapping.latent", kind="rms")
    if network.embed:
        label = _linear(graph, network.embed, "label")
        label = graph.node("NormalizeLatent", [label], "mapping.label", kind="rms")
        x = graph.node("Concat", [x, label], "mapping.joined", domain="", axis=1)
    for layer in network.mapping:
        x = _linear(graph, layer, x)
    axis, rows = (graph.constant(f"mapping.{name}", value, np.int64) for name, value in (
        ("axis", [1]), ("rows", [1, network.num_ws, 1])
    ))  # fmt: skip
    row = graph.node("Unsqueeze", [x, axis], "mapping.row", domain="")
    graph.node("Expand", [row, rows], output, domain="")


def truncation(graph: Graph, network: StyleGan2Network, w: str, mean_style: np.ndarray, output: str) -> None:
    """mean + psi * (w - mean), in all rows; rosinality's networks ignore a psi above 1."""
    mean, psi = graph.constant("mean_style", np.reshape(mean_style, -1)), "truncation_psi"
    if network.family == "rosinality":
        psi = graph.node("Min", [psi, graph.constant("truncation.most", 1)], "truncation.psi", domain="")
    graph.node("Truncate", [w, mean, psi], output)


def synthesis(graph: Graph, network: StyleGan2Network, noise: str) -> None:
    """``w`` [N, num_ws, w_dim] and, for ``noise`` "input", its planes to ``image``."""
    builder = _Synthesis(graph, network, noise)
    x, image = graph.constant("synthesis.b4.const", network.const[None]), ""
    for block in network.blocks:
        x, image = builder.block(block, x, image)
    graph.nodes[-1].output[0] = "image"


def _linear(graph: Graph, layer: Linear, x: str, row: int | None = None) -> str:
    inputs = [x, graph.constant(f"{layer.name}.weight", layer.weight), graph.constant(f"{layer.name}.bias", layer.bias)]
    how = _activation(layer.activation, layer.gain)
    return graph.node("Dense", inputs, f"{layer.name}.out", row=row, **how)


def _activation(activation: str, gain: float, clamp: float | None = None) -> dict:
    """The attributes of clamp(gain * activation(x))."""
    return {"act": activation, "alpha": SLOPE if activation == "lrelu" else None, "gain": gain, "clamp": clamp}


class _Synthesis:
    """The nodes of a synthesis network; ``noise`` is "input", "const" or "none"."""

    def __init__(self, graph: Graph, network: StyleGan2Network, noise: str):
        self.graph, self.noise = graph, noise
        self.planes = {layer.name: index for index, layer in enumerate(network.noisy)}
        self.filter = graph.constant("filter", network.filter)
        height, width = network.filter.shape[0], network.filter.shape[-1]
        self.padding = [(width + 1) // 2, (width - 2) // 2, (height + 1) // 2, (height - 2) // 2]

    def block(self, block: Block, x: str, image: str) -> tuple[str, str]:
        """The block's activations, and the image so far: '' where there is none."""
        branch, below = "", image
        if block.skip is not None:
            name = f"{block.name}.skip"
            branch = self.graph.node("Conv1x1", [x, self.graph.constant(f"{name}.weight", block.skip)], f"{name}.out")
            branch = self.enlarged(f"{name}.enlarged", branch)
        for conv in block.convs:
            x = self.modulated(conv, x, branch if conv is block.convs[-1] else "")
        if block.rgb is None:
            return x, image
        below = self.enlarged(f"{block.name}.enlarged", image) if image else ""
        return x, self.modulated(block.rgb, x, below)

    def enlarged(self, name: str, image: str) -> str:
        """Twice the size: zeros between the samples, then the filter."""
        how = {"up": [2, 2], "down": [1, 1], "padding": self.padding, "gain": 4.0}
        return self.graph.node("UpFirDn2d", [image, self.filter], name, **how)

    def modulated(self, layer: Modulated, x: str, residual: str) -> str:
        """A layer, with all that follows it and ``residual`` added last."""
        constant, style = self.graph.constant, _linear(self.graph, layer.style, "w", layer.row)
        plane, strength = self.noise_of(layer)
        weight, bias = (constant(f"{layer.name}.{kind}", getattr(layer, kind)) for kind in ("weight", "bias"))
        inputs = [x, weight, style, plane, bias, self.filter if layer.up else "", strength, residual]
        while not inputs[-1]:
            inputs.pop()
        return self.graph.node(
            "ModulatedConv2d", inputs, f"{layer.name}.out", up=2 if layer.up else None,
            flip_weight=0 if layer.up else None, padding=[layer.weight.shape[2] // 2] * 4,
            demodulate=int(layer.demodulate), **_activation(layer.activation, layer.gain, layer.clamp),
        )  # fmt: skip

    def noise_of(self, layer: Modulated) -> tuple[str, str]:
        """A layer's plane and, an output channel, its strength; '' where it adds none."""
        if layer.noise_strength is None or self.noise == "none":
            return "", ""
        strengths = np.full(len(layer.bias), layer.noise_strength)
        strength = self.graph.constant(f"{layer.name}.noise_strength", strengths)
        if self.noise == "const":
            return self.graph.constant(f"{layer.name}.noise_const", layer.noise_const), strength
        return f"noise_{self.planes[layer.name]}", strength

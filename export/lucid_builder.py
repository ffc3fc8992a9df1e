"""What both flavours of stylegan2-pytorch's generator are built with: nodes, constants, and tensors by their names.

The tensors of a network are taken by their names in the checkpoint, without the network's own prefix (``S.``, ``G.``,
``SE.``, ``GE.``): what they are called and how they fit is for the reader of the file to check.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .ecg_graph import DOMAIN, IR_VERSION, OPSET

Tensors = Mapping[str, np.ndarray]
HEADS, FEATURES = 8, 64  # of every attention
SLOPE = 0.2
START = "to_initial_block."  # what makes the 4 x 4 map where none is learned


class Graph:
    """Nodes of one domain and the constants they read; ``attention`` is what tensors do not tell of the network."""

    def __init__(self, domain: str, attention: str | None = None):
        self.domain, self.attention = domain, attention
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, values, kind=np.float32) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(values, kind, order="C"), name)
        return name

    def node(self, op: str, inputs: list[str], output: str, domain: str | None = None, **attributes) -> str:
        """Adds a node, of the graph's domain unless one is given.

        An input that is '' is left out, and so is an attribute that is None.
        """
        given = {name: value for name, value in attributes.items() if value is not None}
        domain = self.domain if domain is None else domain
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **given))
        return output


class Part:
    """The tensors of a part of a network, under the part's name."""

    def __init__(self, graph: Graph, tensors: Tensors, name: str = ""):
        self.graph, self.tensors, self.name = graph, tensors, name

    def part(self, name: str) -> Part:
        return type(self)(self.graph, self.tensors, self.name + name + ".")

    def __contains__(self, name: str) -> bool:
        return self.name + name in self.tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return self.tensors[self.name + name]

    def constant(self, name: str, *shape: int) -> str:
        """The tensor of that name, as a constant of ``shape`` if one is given; '' if there is none."""
        if name not in self:
            return ""
        return self.graph.constant(self.name + name, self[name].reshape(shape) if shape else self[name])

    def scaled(self, name: str, gain) -> np.ndarray:
        """The tensor times ``gain``, a number or one an output channel; rounded once."""
        values = np.float64(self[name])
        return (values * np.reshape(np.float64(gain), (-1, *[1] * (values.ndim - 1)))).astype(np.float32)

    def gain(self) -> np.ndarray:
        """What the part's result is multiplied by: one number or one a channel."""
        return self["g"].reshape(-1) if "g" in self else np.ones(1, np.float32)

    def node(self, op: str, inputs: list[str], output: str, **attributes) -> str:
        return self.graph.node(op, inputs, self.name + output, **attributes)


class StandardPart(Part):
    """With what standard operators need beside it."""

    def integers(self, *values: int) -> str:
        """A constant list of integers; equal ones are one constant."""
        return self.graph.constant("integers." + ".".join(map(str, values)), values, np.int64)

    def integer(self, value: int) -> str:
        return self.graph.constant(f"integer.{value}", value, np.int64)

    def mean_row(self, w: str, blocks: int, latent: int) -> str:
        """The mean of the styles of all blocks, [N, D] of [N, blocks, D]; summed alike whatever the batch is."""
        shares = self.graph.constant(f"{START}shares", np.full((1, blocks), 1 / blocks))
        mean = self.node("MatMul", [shares, w], f"{START}mean")
        return self.node("Reshape", [mean, self.integers(0, latent)], f"{START}w")

    def conv(self, x: str, layer: str, gain=1.0, **attributes) -> str:
        """A convolution with that layer's weight and, if it has one, bias, both times ``gain``: see :meth:`scaled`."""
        names = [name for name in (f"{layer}.weight", f"{layer}.bias") if name in self]
        inputs = [self.graph.constant(self.name + name, self.scaled(name, gain)) for name in names]
        return self.node("Conv", [x, *inputs], f"{layer}.out", **attributes)


def blocks_of(generator: Tensors) -> int:
    """How many blocks the generator has: each doubles the size, the first works at 4 x 4."""
    return len({name.split(".")[1] for name in generator if name.startswith("blocks.")})


def layers_of(mapping: Tensors) -> list[int]:
    """The mapping network's layers: every other one is an activation, without tensors."""
    return sorted({int(name.split(".")[1]) for name in mapping if name.startswith("net.")})


def latent_of(generator: Tensors) -> int:
    """Length of a style."""
    return generator["blocks.0.to_style1.weight"].shape[1]


def noise_shape(generator: Tensors) -> list:
    """[N, S, S]: one map a sample, as large as the image."""
    return ["N", *[4 << blocks_of(generator) - 1] * 2]


def image_shape(generator: Tensors) -> list:
    """[N, channels, S, S]."""
    return ["N", len(generator["blocks.0.to_rgb.conv.weight"]), *noise_shape(generator)[1:]]


def model(graph: Graph, name: str, inputs: dict, outputs: dict, kind=TensorProto.FLOAT) -> onnx.ModelProto:
    """The checked model; ``kind`` is what the outputs are made of."""
    ends = [
        [helper.make_tensor_value_info(key, of, shape) for key, shape in values.items()]
        for values, of in ((inputs, TensorProto.FLOAT), (outputs, kind))
    ]
    made = helper.make_graph(graph.nodes, name, *ends, list(graph.constants.values()))
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains(graph.domain).items()]
    built = helper.make_model(made, producer_name="dsb_fast", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(built)
    if graph.domain != DOMAIN:  # inference knows no operators of ours
        onnx.shape_inference.infer_shapes(built, check_type=True, strict_mode=True)
    return built


def domains(domain: str) -> dict[str, int]:
    """The operator sets that a graph of nodes of ``domain`` imports."""
    return {"": OPSET} | ({DOMAIN: 1} if domain == DOMAIN else {})

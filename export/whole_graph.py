"""An exported whole image network, of any family and flavour, and the two networks that it is made of.

A whole graph has the mapping's styles truncated about the constant ``mean_style`` and calls the result ``w``. What the
first node that reads ``mean_style`` is given is the mapping's, what reads ``w`` the synthesis's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from dsb_fast._errors import CheckpointError

from .ecg_graph import DOMAIN
from .lucid_builder import Graph, model


def strange(what: str) -> CheckpointError:
    """An error that says why a graph is no whole image network."""
    return CheckpointError(f"it is no whole image network: it {what}")


def mean_style(whole: onnx.ModelProto, size: int | None = None) -> np.ndarray:
    """What styles are drawn towards, float32 [size]. Raises CheckpointError if the graph has none of that size."""
    for tensor in whole.graph.initializer:
        if tensor.name == "mean_style":
            mean = numpy_helper.to_array(tensor)
            if size is None or mean.shape == (size,):
                return mean
            raise strange(f"has a mean_style {list(mean.shape)}, needs [{size}]")
    raise strange("has no constant mean_style")


@dataclass
class Halves:
    """Copies of the nodes of both networks; ``shapes`` are those of the whole graph's inputs and outputs."""

    mapping: Graph
    synthesis: Graph
    shapes: dict[str, list]

    def shape(self, name: str) -> list:
        """Of an input or output. Raises CheckpointError if there is none of that name."""
        if name not in self.shapes:
            raise strange(f"has no {name}")
        return self.shapes[name]

    def models(self, mapping: tuple[str, dict, dict], synthesis: tuple[str, dict, dict]) -> tuple[onnx.ModelProto, ...]:
        """Both as checked models, each of a name, inputs and outputs. Raises CheckpointError."""
        try:
            return model(self.mapping, *mapping), model(self.synthesis, *synthesis)
        except Exception as error:  # checker and inference raise classes of their own
            raise strange(f"can't be cut in two ({str(error).strip().splitlines()[0][:120]})") from None


def halves(whole: onnx.ModelProto) -> Halves:
    """The whole graph cut behind the mapping and behind ``w``. Raises CheckpointError if it is not of that kind."""
    mean_style(whole)
    nodes, constants = list(whole.graph.node), {tensor.name: tensor for tensor in whole.graph.initializer}
    made = {name: index for index, node in enumerate(nodes) for name in node.output}
    middle = next((node for node in nodes if "mean_style" in node.input), None)
    if middle is None or "w" not in made or middle.input[0] not in made:
        raise strange("does not truncate its styles about mean_style")
    mapping, before = _upstream(nodes, made, middle.input[0]), _upstream(nodes, made, "w")
    domain = DOMAIN if any(node.domain == DOMAIN for node in nodes) else ""
    first = _graph(domain, constants, (nodes[index] for index in sorted(mapping)))
    first.nodes[-1].output[0] = "w"
    second = _graph(domain, constants, (node for index, node in enumerate(nodes) if index not in before))
    return Halves(first, second, {value.name: _shape(value) for value in (*whole.graph.input, *whole.graph.output)})


def _shape(value: onnx.ValueInfoProto) -> list:
    return ["N", *(d.dim_value for d in value.type.tensor_type.shape.dim[1:])]


def _upstream(nodes: list, made: dict[str, int], name: str) -> set[int]:
    """The nodes that ``name`` is made by."""
    found, waiting = set(), [name]
    while waiting:
        index = made.get(waiting.pop())
        if index is not None and index not in found:
            found.add(index)
            waiting.extend(nodes[index].input)
    return found


def _graph(domain: str, constants: dict, nodes: Iterable[onnx.NodeProto]) -> Graph:
    """Copies of the nodes, and the constants that they read."""
    graph = Graph(domain)
    for node in nodes:
        graph.nodes.append(onnx.NodeProto())
        graph.nodes[-1].CopyFrom(node)
    read = {name for node in graph.nodes for name in node.input}
    graph.constants = {name: tensor for name, tensor in constants.items() if name in read}
    return graph

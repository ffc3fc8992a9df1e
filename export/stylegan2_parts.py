"""Mapping and synthesis out of an exported whole network of NVIDIA's or rosinality's.

A whole graph, of either flavour, has the rows of w truncated about the constant ``mean_style`` and calls the result
``w``. What the first node that reads ``mean_style`` is given is the mapping's, what reads ``w`` the synthesis's.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from dsb_fast._errors import CheckpointError

from .ecg_graph import DOMAIN
from .lucid_builder import Graph, model


def mean_style(whole: onnx.ModelProto, size: int) -> np.ndarray:
    """What styles are drawn towards, float32 [size]. Raises CheckpointError if the graph has none."""
    for tensor in whole.graph.initializer:
        if tensor.name == "mean_style":
            mean = numpy_helper.to_array(tensor)
            if mean.shape == (size,):
                return mean
            raise _strange(f"has a mean_style {list(mean.shape)}, needs [{size}]")
    raise _strange("has no constant mean_style")


def parts(whole: onnx.ModelProto, rows: int) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Mapping and synthesis, as the builders of those parts make them. Raises CheckpointError."""
    nodes, constants = list(whole.graph.node), {tensor.name: tensor for tensor in whole.graph.initializer}
    made = {name: index for index, node in enumerate(nodes) for name in node.output}
    middle = next((node for node in nodes if "mean_style" in node.input), None)
    if middle is None or "w" not in made or middle.input[0] not in made:
        raise _strange("does not truncate its styles about mean_style")
    mapping, before = _upstream(nodes, made, middle.input[0]), _upstream(nodes, made, "w")
    domain = DOMAIN if any(node.domain == DOMAIN for node in nodes) else ""
    first = _graph(domain, constants, [nodes[index] for index in sorted(mapping)])
    first.nodes[-1].output[0] = "w"
    second = _graph(domain, constants, [node for index, node in enumerate(nodes) if index not in before])
    shapes = {value.name: _shape(value) for value in (*whole.graph.input, *whole.graph.output)}
    size = constants["mean_style"].dims[0]
    w = {"w": ["N", rows, size]}
    latents = {name: shape for name, shape in shapes.items() if name in ("z", "label")}
    planes = {name: shape for name, shape in shapes.items() if name.startswith("noise_")}
    names = [f"{whole.graph.name}_{part}" for part in ("mapping", "synthesis")]
    try:
        return (
            model(first, names[0], latents, w),
            model(second, names[1], w | planes, {"image": shapes["image"]}),
        )
    except Exception as error:  # checker and inference raise classes of their own
        raise _strange(f"can't be cut in two ({str(error).strip().splitlines()[0][:120]})") from None


def _strange(what: str) -> CheckpointError:
    return CheckpointError(f"it is no whole image network: it {what}")


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


def _graph(domain: str, constants: dict, nodes: list[onnx.NodeProto]) -> Graph:
    """Copies of the nodes, and the constants that they read."""
    graph = Graph(domain)
    for node in nodes:
        graph.nodes.append(onnx.NodeProto())
        graph.nodes[-1].CopyFrom(node)
    read = {name for node in graph.nodes for name in node.input}
    graph.constants = {name: tensor for name, tensor in constants.items() if name in read}
    return graph

"""The mapping and the synthesis network out of a graph that holds both, and what else can be read off such a graph.

A whole graph, of either flavour, has the mapping's styles truncated about the constant ``mean_style`` and calls the
result ``w``. Before the first node that reads ``mean_style`` lies the mapping, behind ``w`` the synthesis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dsb_fast._errors import CheckpointError

from .ecg_graph import DOMAIN
from .lucid_builder import START, Graph, StandardPart, model

_BLOCK = re.compile(r"blocks\.(\d{1,3})\.")


def mean_style(whole: onnx.ModelProto) -> np.ndarray:
    """What styles are drawn towards, float32 [D]. Raises CheckpointError if the graph has none."""
    for tensor in whole.graph.initializer:
        if tensor.name == "mean_style":
            return numpy_helper.to_array(tensor)
    raise _strange("has no constant mean_style")


def parts(whole: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Mapping and synthesis, as the builders of those parts make them, out of a whole graph of the same flavour.

    In the whole graph every block reads one style; the synthesis reads one a block, ``w`` [N, blocks, D]. Raises
    CheckpointError if the graph is not of that kind.
    """
    nodes, mean = list(whole.graph.node), mean_style(whole)
    made = {name: index for index, node in enumerate(nodes) for name in node.output}
    middle = next((node for node in nodes if "mean_style" in node.input), None)
    if middle is None or "w" not in made or middle.input[0] not in made:
        raise _strange("does not truncate its styles about mean_style")
    mapping, before = _upstream(nodes, made, middle.input[0]), _upstream(nodes, made, "w")
    domain = DOMAIN if any(node.domain == DOMAIN for node in nodes) else ""
    constants = {tensor.name: tensor for tensor in whole.graph.initializer}
    shapes = {value.name: _shape(value) for value in (*whole.graph.input, *whole.graph.output)}
    first = _graph(domain, constants, (nodes[index] for index in sorted(mapping)))
    first.nodes[-1].output[0] = "w"
    second = _graph(domain, constants, (node for index, node in enumerate(nodes) if index not in before))
    blocks = _give_each_its_style(second, len(mean))
    try:
        size = {"z": shapes["z"]}, {"w": ["N", len(mean)]}
        ends = {"w": ["N", blocks, len(mean)], "noise": shapes["noise"]}, {"image": shapes["image"]}
        return model(first, "lucid_mapping", *size), model(second, "lucid_synthesis", *ends)
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


def _graph(domain: str, constants: dict, nodes: Iterable[onnx.NodeProto]) -> Graph:
    """Copies of the nodes, and the constants that they read."""
    graph = Graph(domain)
    for node in nodes:
        graph.nodes.append(onnx.NodeProto())
        graph.nodes[-1].CopyFrom(node)
    read = {name for node in graph.nodes for name in node.input}
    graph.constants = {name: tensor for name, tensor in constants.items() if name in read}
    return graph


def _give_each_its_style(graph: Graph, latent: int) -> int:
    """Make every node that reads ``w`` read its block's row, the start their mean; the number of blocks."""
    nodes, graph.nodes, part = graph.nodes, [], StandardPart(graph, {})
    rows = {node.name: _row_of(node) for node in nodes if "w" in node.input}
    blocks = {row for row in rows.values() if row is not None}
    if not blocks or blocks != set(range(len(blocks))):
        raise _strange("has blocks missing")
    for node in nodes:
        if "w" in node.input:
            row = rows[node.name]
            if graph.domain == DOMAIN:
                node.attribute.extend([helper.make_attribute("row", row)] if row is not None else [])
            else:
                name = part.mean_row("w", len(blocks), latent) if row is None else _gathered(part, row)
                node.input[:] = [name if read == "w" else read for read in node.input]
        graph.nodes.append(node)
    return len(blocks)


def _row_of(node: onnx.NodeProto) -> int | None:
    """The block that a node belongs to, None for the start."""
    place = _BLOCK.match(node.name)
    if not place and not node.name.startswith(START):
        raise _strange(f"reads w at {node.name[:60]!r}, which belongs to no block")
    return int(place[1]) if place else None


def _gathered(part: StandardPart, row: int) -> str:
    """The style of that block, gathered before it is first read."""
    name = f"blocks.{row}.w"
    if not any(node.name == name for node in part.graph.nodes):
        part.node("Gather", ["w", part.integer(row)], name, axis=1)
    return name

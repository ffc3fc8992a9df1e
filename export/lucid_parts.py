"""The mapping and the synthesis network out of a graph of stylegan2-pytorch's that holds both (whole_graph.py)."""

from __future__ import annotations

import re

import onnx
from onnx import helper

from .ecg_graph import DOMAIN
from .lucid_builder import START, Graph, StandardPart
from .whole_graph import halves, mean_style, strange

_BLOCK = re.compile(r"blocks\.(\d{1,3})\.")


def parts(whole: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Mapping and synthesis, as the builders of those parts make them, out of a whole graph of the same flavour.

    In the whole graph every block reads one style; the synthesis reads one a block, ``w`` [N, blocks, D]. Raises
    CheckpointError if the graph is not of that kind.
    """
    found, size = halves(whole), len(mean_style(whole))
    blocks = _give_each_its_style(found.synthesis, size)
    w, noise = {"w": ["N", blocks, size]}, {"noise": found.shape("noise")}
    return found.models(
        ("lucid_mapping", {"z": found.shape("z")}, {"w": ["N", size]}),
        ("lucid_synthesis", w | noise, {"image": found.shape("image")}),
    )


def _give_each_its_style(graph: Graph, latent: int) -> int:
    """Make every node that reads ``w`` read its block's row, the start their mean; the number of blocks."""
    nodes, graph.nodes, part = graph.nodes, [], StandardPart(graph, {})
    rows = {node.name: _row_of(node) for node in nodes if "w" in node.input}
    blocks = {row for row in rows.values() if row is not None}
    if not blocks or blocks != set(range(len(blocks))):
        raise strange("has blocks missing")
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
        raise strange(f"reads w at {node.name[:60]!r}, which belongs to no block")
    return int(place[1]) if place else None


def _gathered(part: StandardPart, row: int) -> str:
    """The style of that block, gathered before it is first read."""
    name = f"blocks.{row}.w"
    if not any(node.name == name for node in part.graph.nodes):
        part.node("Gather", ["w", part.integer(row)], name, axis=1)
    return name

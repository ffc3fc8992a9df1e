"""The precision of the products inside the operators of domain ``dsb_fast``."""

from __future__ import annotations

import onnx

from .ecg_graph import DOMAIN

OPERATORS = ("ModulatedConv2d",)  # that have an attribute ``products``


def to_bfloat16(model: onnx.ModelProto) -> None:
    """Let the operators of ``model``, a fused graph, multiply rounded numbers; their sums and the rest stay float32."""
    for node in model.graph.node:
        if node.domain == DOMAIN and node.op_type in OPERATORS:
            kept = [attribute for attribute in node.attribute if attribute.name != "products"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("products", "bfloat16")])

"""The precision of the products inside the operators of domain ``dsb_fast``."""

from __future__ import annotations

import onnx

from .ecg_graph import DOMAIN

# Which operators multiply rounded numbers, by the name of the plan: the faster first, the nearer to float32 last.
BFLOAT16 = {
    "bf16": ("Attention", "FeedForward", "ModulatedConv2d", "StyleBlock"),
    "bf16 convolutions": ("ModulatedConv2d", "StyleBlock"),
}


def to_bfloat16(model: onnx.ModelProto, plan: str) -> None:
    """Let operators of ``model``, a fused graph, multiply rounded numbers; their sums and the rest stay float32.

    So do up-sampling layers, which are faster in phases of float32.
    """
    for node in model.graph.node:
        if node.domain == DOMAIN and node.op_type in BFLOAT16[plan] and not _resamples(node):
            kept = [attribute for attribute in node.attribute if attribute.name != "products"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("products", "bfloat16")])


def _resamples(node: onnx.NodeProto) -> bool:
    return any(attribute.name in ("up", "down") and attribute.i > 1 for attribute in node.attribute)

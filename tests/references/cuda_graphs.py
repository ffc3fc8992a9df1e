"""Graphs of flavour "cuda" on ONNX Runtime's CPU provider: our operators compiled for the host, NhwcConv spelt out."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from . import cuda_host

_FIRST, _LAST = [0, 3, 1, 2], [0, 2, 3, 1]  # channels


def on_cpu(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every NhwcConv, which the CPU provider has not, between two transpositions."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in made.graph.initializer}
    nodes, turned = [], set()
    for node in model.graph.node:
        if node.op_type != "NhwcConv":
            nodes.append(node)
            continue
        x, weight = node.input
        if weight not in turned:
            turned.add(weight)
            taps = numpy_helper.to_array(weights[weight]).transpose(_FIRST)
            weights[weight].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(taps), weight))
        name = node.output[0]
        conv = helper.make_node("Conv", [f"{name}.x", weight], [f"{name}.y"])
        conv.attribute.extend(node.attribute)
        nodes += [
            helper.make_node("Transpose", [x], [f"{name}.x"], perm=_FIRST),
            conv,
            helper.make_node("Transpose", [f"{name}.y"], [name], perm=_LAST),
        ]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


def run(model: onnx.ModelProto, **inputs) -> dict[str, np.ndarray]:
    """The outputs by name."""
    session = cuda_host.session(on_cpu(model).SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))

"""The ECG network in ONNX just as it is published: what a plain export of the torch module contains.

Repetition stays a Resize by nearest neighbour and every convolution keeps its 25 taps; dsb_fast's own graph folds the
two together. It is what a user of ONNX Runtime would get without dsb_fast, and so the baseline of the network case.
"""

from __future__ import annotations

import numpy as np
import onnx
from dsb_fast.export.pulse2pulse import DECODER, ENCODER, LEAKY_SLOPE, PADDING, Pulse2Pulse
from onnx import TensorProto, helper, numpy_helper

_OPSET, _IR_VERSION = 17, 9


def build(network: Pulse2Pulse, length: int = 5000) -> bytes:
    """Serialised model: ``noise`` to ``signal``, float32 [N, leads, length]."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(x, name, stride=1):
        layer = network.layers[name]
        inputs = [x, constant(f"{name}.weight", layer.weight), constant(f"{name}.bias", layer.bias)]
        return node("Conv", inputs, f"{name}.conv", strides=[stride], pads=[PADDING, PADDING])

    x, encoded = "noise", {}
    for name, stride in ENCODER:
        x = encoded[name] = node("LeakyRelu", [convolution(x, name, stride)], f"{name}.out", alpha=LEAKY_SLOPE)
    for name, repetition, joined in DECODER:
        if joined:
            x = node("Concat", [x, encoded[joined]], f"{name}.in", axis=1)
        scales = constant(f"{name}.scales", [1, 1, repetition])
        x = node(
            "Resize", [x, "", scales], f"{name}.repeated",
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )  # fmt: skip
        x = convolution(x, name)
        x = node("Tanh", [x], "signal") if name == "deconv_7" else node("Relu", [x], f"{name}.out")

    shape = ["N", network.leads, length]
    graph = helper.make_graph(
        nodes,
        "pulse2pulse_as_published",
        [helper.make_tensor_value_info("noise", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("signal", TensorProto.FLOAT, shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString()

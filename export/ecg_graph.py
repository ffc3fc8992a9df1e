"""The ECG network as a portable ONNX graph.

Repeating each point r times and then convolving with 25 taps is a polyphase convolution: output r*i + p reads input
i + floor((p + j - 12) / r) for tap j, so the taps that meet the same input add up. Each of the r phases keeps 5, 6 or
13 taps instead of 25. The two layers in the middle see so few points that they are plain matrices.
docs/graphs.md tells what this saves and what was tried.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dsb_fast._errors import InputError

from .pulse2pulse import DECODER, ENCODER, LEAKY_SLOPE, LENGTH_UNIT, PADDING, TAPS, Layer, Pulse2Pulse

OPSET = 17
DOMAIN = "dsb_fast"
IR_VERSION = 9  # ONNX Runtime 1.17 reads no newer one
DENSE_POINTS = 2  # widest bottleneck that is made a matrix; beyond, the matrix grows with the square


class _Builder:
    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name


def phase_taps(weight: np.ndarray, repetition: int) -> list[tuple[int, np.ndarray]]:
    """For each output phase the offset of its first input point and its taps, float64 [out, in, taps].

    Taps that meet the same input point are added in their order, in float64.
    """
    phases = []
    for phase in range(repetition):
        offsets = [(phase + tap - PADDING) // repetition for tap in range(TAPS)]
        taps = np.zeros((*weight.shape[:2], offsets[-1] - offsets[0] + 1))
        for tap, offset in enumerate(offsets):
            taps[:, :, offset - offsets[0]] += weight[:, :, tap]
        phases.append((offsets[0], taps))
    return phases


def _dense(layer: Layer, points: int, reads: list[list[tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray]:
    """A convolution as a matrix [in * points, out * len(reads)]; reads[o] lists the (input point, tap) of output o."""
    out_channels, in_channels, _ = layer.weight.shape
    matrix = np.zeros((in_channels, points, out_channels, len(reads)))
    for o, pairs in enumerate(reads):
        for point, tap in pairs:
            matrix[:, point, :, o] += layer.weight[:, :, tap].T
    bias = np.repeat(layer.bias, len(reads))
    return matrix.reshape(in_channels * points, -1).astype(np.float32), bias


def dense_down(layer: Layer, points: int, stride: int):
    inside = range(points)
    reads = [
        [(stride * o + tap - PADDING, tap) for tap in range(TAPS) if stride * o + tap - PADDING in inside]
        for o in range(points // stride)
    ]
    return _dense(layer, points, reads)


def dense_up(layer: Layer, points: int, repetition: int):
    inside = range(points * repetition)
    reads = [
        [((o + tap - PADDING) // repetition, tap) for tap in range(TAPS) if o + tap - PADDING in inside] for o in inside
    ]
    return _dense(layer, points, reads)


def _down(b: _Builder, x: str, layer: Layer, stride: int) -> str:
    inputs = [x, b.constant(f"{layer.name}.weight", layer.weight), b.constant(f"{layer.name}.bias", layer.bias)]
    y = b.node("Conv", inputs, f"{layer.name}.conv", strides=[stride], pads=[PADDING, PADDING])
    return b.node("LeakyRelu", [y], f"{layer.name}.out", alpha=LEAKY_SLOPE)


def _up(b: _Builder, x: str, layer: Layer, repetition: int, activation: str) -> str:
    """Polyphase: phases that begin at the same offset share one convolution; the phases are then interleaved."""
    out_channels, in_channels, _ = layer.weight.shape
    phases = phase_taps(layer.weight, repetition)
    parts = []
    for offset in sorted({first for first, _ in phases}):
        group = [taps for first, taps in phases if first == offset]
        width = max(taps.shape[2] for taps in group)
        weight = np.zeros((len(group), out_channels, in_channels, width), np.float32)
        for k, taps in enumerate(group):
            weight[k, :, :, : taps.shape[2]] = taps
        name = f"{layer.name}.phase{offset}"
        y = b.node(
            "Conv",
            [
                x,
                b.constant(f"{name}.weight", weight.reshape(-1, in_channels, width)),
                b.constant(f"{name}.bias", np.tile(layer.bias, len(group))),
            ],
            f"{name}.conv",
            pads=[-offset, offset + width - 1],
        )
        parts.append(b.node(activation, [y], f"{name}.out"))
    y = parts[0] if len(parts) == 1 else b.node("Concat", parts, f"{layer.name}.phases", axis=1)
    split = b.constant(f"{layer.name}.split", np.array([0, repetition, out_channels, -1]))
    merge = b.constant(f"{layer.name}.merge", np.array([0, out_channels, -1]))
    y = b.node("Reshape", [y, split], f"{layer.name}.split_phases")
    y = b.node("Transpose", [y], f"{layer.name}.interleaved", perm=[0, 2, 3, 1])
    return b.node("Reshape", [y, merge], f"{layer.name}.out")


def _matrix(b: _Builder, x: str, layer: Layer, matrix: np.ndarray, bias: np.ndarray) -> str:
    flat = b.constant(f"{layer.name}.flat", np.array([-1, matrix.shape[0]]))
    x = b.node("Reshape", [x, flat], f"{layer.name}.flattened")
    inputs = [x, b.constant(f"{layer.name}.weight", matrix), b.constant(f"{layer.name}.bias", bias)]
    return b.node("Gemm", inputs, f"{layer.name}.gemm")


def build(network: Pulse2Pulse, length: int) -> onnx.ModelProto:
    """The network for signals of ``length`` points: input ``noise``, output ``signal``, float32 [N, leads, length].

    Raises InputError if ``length`` is not a multiple of 2500.
    """
    check_length(length)
    b = _Builder()
    middle = length // LENGTH_UNIT
    dense = middle <= DENSE_POINTS
    x, encoded = "noise", {}
    for name, stride in ENCODER:
        layer = network.layers[name]
        if dense and name == "conv_6":
            y = _matrix(b, x, layer, *dense_down(layer, 5 * middle, stride))
            x = b.node("LeakyRelu", [y], f"{name}.out", alpha=LEAKY_SLOPE)
        else:
            x = encoded[name] = _down(b, x, layer, stride)
    for name, repetition, joined in DECODER:
        layer = network.layers[name]
        if joined:
            x = b.node("Concat", [x, encoded[joined]], f"{name}.in", axis=1)
        if dense and name == "deconv_1":
            y = b.node("Relu", [_matrix(b, x, layer, *dense_up(layer, middle, repetition))], f"{name}.relu")
            shape = b.constant(f"{name}.shape", np.array([-1, layer.weight.shape[0], middle * repetition]))
            x = b.node("Reshape", [y, shape], f"{name}.out")
        else:
            x = _up(b, x, layer, repetition, "Tanh" if name == "deconv_7" else "Relu")
    b.nodes[-1].output[0] = "signal"
    return _model(b, network.leads, length, {"": OPSET})


def build_fused(network: Pulse2Pulse, length: int) -> onnx.ModelProto:
    """The same network as one operator of domain ``dsb_fast`` (csrc/ort/pulse2pulse.cc), with the published weights."""
    check_length(length)
    b = _Builder()
    inputs, strides, repetitions = ["noise"], [], []
    for name, stride, repetition in (
        *((name, stride, 1) for name, stride in ENCODER),
        *((name, 1, repetition) for name, repetition, _ in DECODER),
    ):
        layer = network.layers[name]
        inputs += [b.constant(f"{name}.weight", layer.weight), b.constant(f"{name}.bias", layer.bias)]
        strides.append(stride)
        repetitions.append(repetition)
    b.node(
        "Pulse2Pulse", inputs, "signal", domain=DOMAIN, strides=strides, repetitions=repetitions, padding=PADDING,
        slope=LEAKY_SLOPE,
    )  # fmt: skip
    return _model(b, network.leads, length, {"": OPSET, DOMAIN: 1})


def check_length(length: int) -> None:
    if length <= 0 or length % LENGTH_UNIT:
        raise InputError(f"length: {length} points; Pulse2Pulse needs a positive multiple of {LENGTH_UNIT}")


def _model(b: _Builder, leads: int, length: int, domains: dict[str, int]) -> onnx.ModelProto:
    shape = ["N", leads, length]
    graph = helper.make_graph(
        b.nodes,
        "pulse2pulse",
        [helper.make_tensor_value_info("noise", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("signal", TensorProto.FLOAT, shape)],
        b.constants,
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    model = helper.make_model(graph, producer_name="dsb_fast", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=DOMAIN not in domains)
    return model

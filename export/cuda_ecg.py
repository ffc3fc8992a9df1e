"""The ECG network as a graph of flavour "cuda".

All phases of a layer on the way up are one convolution, whose output channels are a point's phases one after the
other: channels last, that is the enlarged signal already, and interleaving is a Reshape.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from dsb_fast._models.on_device import NOT_NUMBERS

from .cuda_graph import CudaGraph, cuda_model
from .ecg_graph import DENSE_POINTS, check_length, dense_down, dense_up, phase_taps
from .pulse2pulse import DECODER, ENCODER, LEAKY_SLOPE, LENGTH_UNIT, PADDING, Layer, Pulse2Pulse

# Layers that bear float16, two thirds of the products. Together: 0.3 % of values more than 2 uV off. conv_1 alone: 8 %,
# conv_2 5 %, conv_3 4 %, conv_4 1.5 %, deconv_1 0.4 %: what the encoder makes is small beside what it adds up.
HALF = frozenset(name for name, *_ in DECODER[1:])
_ALIGNED, _HALVES_ALIGNED = 4, 8  # channels: what cuDNN's kernels for channels last want


def build(
    network: Pulse2Pulse, length: int, precision: str = "fp32", microvolt_scale: float | None = None
) -> onnx.ModelProto:
    """Input ``noise`` float32 [N, leads, length]; output ``signal``, the same.

    With ``microvolt_scale`` noise is [N, length, leads] and the outputs are ``signal_uv`` int16 [N, leads, length],
    signal times scale cut toward zero, and ``not_numbers`` int32 [1], how many values were none. ``precision`` "fp16":
    activations and weights of the layers in :data:`HALF` are float16, sums float32. Raises InputError if ``length`` is
    not a multiple of 2500.
    """
    check_length(length)
    g = CudaGraph()
    middle, half = length // LENGTH_UNIT, HALF if precision == "fp16" else frozenset()
    x = "noise" if microvolt_scale is not None else g.node("Transpose", ["noise"], "noise.turned", perm=[0, 2, 1])
    x = g.node("Reshape", [x, g.shape(0, 1, length, network.leads)], "noise.plane")
    dense, encoded = middle <= DENSE_POINTS, {}
    layers = widened(network, _HALVES_ALIGNED if half else _ALIGNED)
    for name, stride in ENCODER:
        layer = layers[name]
        g.kind = _kind(name, half)
        x = g.cast(x, f"{name}.cast")
        if dense and name == "conv_6":
            y = _matrix(g, x, layer, *dense_down(layer, 5 * middle, stride), points=(5 * middle, middle))
        else:
            how = {"strides": [1, stride], "pads": [0, PADDING] * 2}
            y = g.conv(x, name, layer.weight[:, :, None], **how)
        x = encoded[name] = g.epilogue(y, name, "lrelu", alpha=LEAKY_SLOPE, bias=_bias(g, layer))
    for name, repetition, joined in DECODER:
        layer, last = layers[name], name == DECODER[-1][0]
        g.kind = _kind(name, half)
        x = g.cast(x, f"{name}.cast")
        if joined:
            x = g.node("Concat", [x, g.cast(encoded[joined], f"{joined}.joined")], f"{name}.in", axis=3)
        if dense and name == "deconv_1":
            how = {"points": (middle, middle * repetition)}
            y = _matrix(g, x, layer, *dense_up(layer, middle, repetition), **how)
        else:
            y = _up(g, x, layer, repetition)
        y = g.cast(y, f"{name}.single", np.float32) if last else y
        x = g.epilogue(y, name, "tanh" if last else "relu", bias=_bias(g, layer))
    return _ended(g, x, network.leads, length, microvolt_scale)


def widened(network: Pulse2Pulse, multiple: int) -> dict[str, Layer]:
    """The layers, their channels but the leads made multiples of a number by weights of zero."""
    layers, before = {}, [(network.leads, network.leads)]  # channels and their room, of each tensor that is joined
    rooms: dict[str, tuple[int, int]] = {}
    for name, joined in (*((name, None) for name, _ in ENCODER), *((name, joined) for name, _, joined in DECODER)):
        layer = network.layers[name]
        count = len(layer.weight)
        room = count if name == DECODER[-1][0] else -(-count // multiple) * multiple
        layers[name] = _spread(layer, before + ([rooms[joined]] if joined else []), room)
        rooms[name] = count, room
        before = [rooms[name]]
    return layers


def _spread(layer: Layer, inputs: list[tuple[int, int]], room: int) -> Layer:
    """The layer for inputs with that room, to ``room`` output channels."""
    weight = np.zeros((room, sum(wide for _, wide in inputs), layer.weight.shape[2]), np.float32)
    there, here = 0, 0
    for count, wide in inputs:
        weight[: len(layer.weight), here : here + count] = layer.weight[:, there : there + count]
        there, here = there + count, here + wide
    return Layer(layer.name, weight, np.pad(layer.bias, (0, room - len(layer.bias))))


def _kind(name: str, half: frozenset[str]) -> np.dtype:
    return np.dtype(np.float16 if name in half else np.float32)


def _bias(g: CudaGraph, layer: Layer) -> str:
    return g.constant(f"{layer.name}.bias", layer.bias)


def _matrix(g: CudaGraph, x: str, layer: Layer, matrix, bias, points: tuple[int, int]) -> str:
    """The sums of a layer that is a matrix, [N, 1, out points, out]; its bias comes later."""
    (out_channels, in_channels), (before, after) = layer.weight.shape[:2], points
    matrix = matrix.reshape(in_channels, before, out_channels, after).transpose(1, 0, 3, 2)
    weight = g.constant(f"{layer.name}.weight", matrix.reshape(before * in_channels, -1), g.kind)
    flat = g.node("Reshape", [x, g.shape(-1, before * in_channels)], f"{layer.name}.flat")
    y = g.node("MatMul", [flat, weight], f"{layer.name}.product")
    return g.node("Reshape", [y, g.shape(-1, 1, after, out_channels)], f"{layer.name}.sums")


def _up(g: CudaGraph, x: str, layer: Layer, repetition: int) -> str:
    """The sums of all phases, [N, 1, repetition * L, out]."""
    out_channels, in_channels, _ = layer.weight.shape
    phases = phase_taps(layer.weight, repetition)
    first = min(offset for offset, _ in phases)
    width = max(offset + taps.shape[2] for offset, taps in phases) - first
    weight = np.zeros((repetition, out_channels, in_channels, width), np.float32)
    for phase, (offset, taps) in enumerate(phases):
        weight[phase, :, :, offset - first : offset - first + taps.shape[2]] = taps
    weight = weight.reshape(-1, in_channels, 1, width)
    y = g.conv(x, f"{layer.name}.phases", weight, pads=[0, -first, 0, first + width - 1])
    return g.node("Reshape", [y, g.shape(0, 1, -1, out_channels)], f"{layer.name}.sums")


def _ended(g: CudaGraph, x: str, leads: int, length: int, microvolt_scale: float | None) -> onnx.ModelProto:
    shape = ["N", leads, length]
    flat = g.node("Reshape", [x, g.shape(0, length, leads)], "signal.flat")
    if microvolt_scale is None:
        g.node("Transpose", [flat], "signal", perm=[0, 2, 1])
        return cuda_model(g, "pulse2pulse", {"noise": shape}, {"signal": shape})
    how = {"scale": float(microvolt_scale), "channels_last": 1}
    g.ours("ToMicrovolt", [flat], ["signal_uv", NOT_NUMBERS], **how)
    kinds = {"signal_uv": TensorProto.INT16, NOT_NUMBERS: TensorProto.INT32}
    inputs = {"noise": ["N", length, leads]}
    return cuda_model(g, "pulse2pulse_microvolt", inputs, {"signal_uv": shape, NOT_NUMBERS: [1]}, kinds)

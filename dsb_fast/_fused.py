"""The ECG network on the compiled kernels without ONNX Runtime: what tests and benchmarks hold the operator against."""

from __future__ import annotations

from . import _kernels
from ._errors import MissingDependencyError


def layers(network, algorithm: str = "") -> list[tuple]:
    """The twelve layers of a :class:`dsb_fast.export.pulse2pulse.Pulse2Pulse`, as the extension takes them."""
    from .export.pulse2pulse import DECODER, ENCODER, LEAKY_SLOPE, PADDING

    down = [(name, stride, 1, "lrelu", LEAKY_SLOPE) for name, stride in ENCODER]
    up = [(name, 1, repetition, "tanh" if name == DECODER[-1][0] else "relu", 0.0) for name, repetition, _ in DECODER]
    out = []
    for name, stride, repetition, activation, slope in (*down, *up):
        layer = network.layers[name]
        out.append((layer.weight, layer.bias, stride, repetition, PADDING, activation, slope, algorithm))
    return out


def compile_network(network):
    """An object whose ``run(noise, threads)`` gives the signal, float32 [N, leads, length], the same bits for any
    batch,
    any number of threads and any variant with fused multiply-add."""
    if _kernels.native is None:
        raise MissingDependencyError("the fused network needs the compiled extension, which is not built")
    _kernels.active_variant()
    return _kernels.native.Pulse2PulseNetwork(layers(network))

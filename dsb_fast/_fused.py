"""The ECG network on the compiled kernels: its layers as the extension takes them, and their packed weights."""

from __future__ import annotations

import json

import numpy as np

from . import _kernels
from ._errors import MissingDependencyError
from ._files import sha256_of


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


def packing() -> str:
    """What packed weights depend on beside the weights: the extension that packs them."""
    _kernels.active_variant()
    return sha256_of(_kernels.native.__file__)


def pack(network) -> tuple[np.ndarray, str]:
    """Weights of ``network`` as the kernels take them, float32 in one array, and the layers' shapes as JSON."""
    made = layers(network)
    shapes = [(*weight.shape, *rest[:5]) for weight, _, *rest in made]
    return _kernels.native.pack_pulse2pulse(made), json.dumps(shapes)

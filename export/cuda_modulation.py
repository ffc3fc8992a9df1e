"""A modulated layer of graphs of flavour "cuda": what goes in before its convolution, its weights, what comes after.

In float16 numbers cannot overflow, as in :mod:`dsb_fast.export.stylegan2_half`: a layer's styles are divided by their
largest, the weights of an output channel by so much that its sums stay below 32768, and both are multiplied into the
demodulation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .cuda_graph import CudaGraph
from .lucid_builder import StandardPart
from .lucid_portable import energies
from .stylegan2_portable import clamped

REACH = 1024.0  # of activations in float16 that the network does not clamp further
INPUT = 4096.0  # what no layer's input exceeds in float16: an activation times a gain, and a side branch
SUMS = 32768.0


class Modulation(NamedTuple):
    """``scale`` [N, in] and ``demodulation`` [N, out] ('' for none) are names, ``weight`` [out, in, k, k] numbers."""

    scale: str
    demodulation: str
    weight: np.ndarray


def modulation(part: StandardPart, style: str, weight: np.ndarray, taps: float = 1.0) -> Modulation:
    """Of a demodulated layer. ``style``: [N, in], float32; ``taps``: the sum of what its sums are filtered with."""
    g = part.graph
    squares = part.node("Mul", [style, style], "squares")
    sums = g.constant(f"{part.name}energies", energies(weight))
    energy = part.node("Gemm", [squares, sums, g.constant("demodulation.least", 1e-8)], "energy")
    inverse = part.node("Reciprocal", [part.node("Sqrt", [energy], "norm")], "inverse")
    if not g.half:
        return Modulation(style, inverse, weight)
    weight, sizes = bounded(weight, taps)
    scale, most = _normalised(part, style)
    factors = part.node("Mul", [inverse, _restored(part, most, sizes)], "factors")
    factors = clamped(part, factors, SUMS, "factors.bounded")
    return Modulation(scale, g.cast(factors, f"{part.name}factors.half"), weight)


def colours(part: StandardPart, style: str, weight: np.ndarray, x: str, size: int) -> tuple[str, str]:
    """The sums of an RGB layer, float32 [N, size, size, channels], and what they are still to be multiplied by.

    Each sample has a matrix of its own, [C, channels]: that is less than a scaled copy of ``x`` [N, size, size, C].
    """
    g, restored = part.graph, ""
    if g.half:
        weight, sizes = bounded(weight, 1.0)
        style, most = _normalised(part, style)
        restored = _restored(part, most, sizes)
    channels, features = weight.shape[:2]
    matrix = g.constant(f"{part.name}weight", weight.reshape(channels, features).T, g.kind)
    column = part.node("Reshape", [style, g.shape(0, features, 1)], "column")
    matrix = part.node("Mul", [column, matrix], "matrix")
    flat = part.node("Reshape", [x, g.shape(0, size * size, features)], "flat")
    y = part.node("MatMul", [flat, matrix], "product")
    y = part.node("Reshape", [y, g.shape(0, size, size, channels)], "sums")
    return g.cast(y, f"{part.name}single", np.float32), restored


def bounded(weight: np.ndarray, taps: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights [out, ...] whose sums stay in bounds, and what makes up for it, [out]."""
    weight = np.float64(weight)
    sizes = np.abs(weight).reshape(len(weight), -1).sum(axis=1) * taps * INPUT / SUMS
    sizes = np.where(sizes > 0, sizes, 1)
    return weight / sizes.reshape(-1, *[1] * (weight.ndim - 1)), sizes


def _normalised(part: StandardPart, style: str) -> tuple[str, str]:
    """The style over its largest value, in the graph's kind, and that value, [N, 1]."""
    most = part.node("ReduceMax", [part.node("Abs", [style], "magnitudes")], "largest", axes=[1], keepdims=1)
    most = part.node("Max", [most, part.graph.constant("style.least", 1e-30)], "most")
    normal = part.node("Div", [style, most], "normalised")
    return part.graph.cast(normal, f"{part.name}style.half"), most


def _restored(part: StandardPart, most: str, sizes: np.ndarray) -> str:
    return part.node("Mul", [most, part.graph.constant(f"{part.name}sizes", sizes[None])], "restored")


def clamp_of(g: CudaGraph, clamp: float | None) -> float | None:
    """What activations are clamped to: the network's own, and in float16 no more than REACH."""
    if not g.half:
        return clamp
    return REACH if clamp is None else min(clamp, REACH)

"""ONNX graphs of NVIDIA's and rosinality's StyleGAN2 generators: docs/graphs.md lists inputs, outputs and tensors."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import onnx

from dsb_fast._errors import InputError

from . import cuda_stylegan2, stylegan2_fused, stylegan2_half, stylegan2_portable
from .cuda_graph import CudaGraph, cuda_model
from .ecg_graph import DOMAIN
from .lucid_builder import Graph, model
from .stylegan2_network import StyleGan2Network

PARTS = ("whole", "mapping", "synthesis")
NOISES = ("input", "const", "none")
_FLAVOURS = {"portable": ("", stylegan2_portable), "fused": (DOMAIN, stylegan2_fused), "cuda": ("", stylegan2_portable)}


def build(
    network: StyleGan2Network,
    part: str,
    noise: str = "input",
    flavour: str = "portable",
    mean_style: np.ndarray | None = None,
    precision: str = "fp32",
    levels: bool = False,
) -> onnx.ModelProto:
    """The graph of a ``part`` of the network: "whole", "mapping" or "synthesis"; float32, the batch N free.

    - whole: ``z`` [N, z_dim], ``label`` [N, c_dim] (conditional networks), ``noise_0``, ``noise_1``, ... [N, 1, h, h]
      (``noise`` "input"; in forward order, h those of ``noise_sizes``), ``truncation_psi``, a number (with a mean
      style), to ``image`` [N, channels, S, S], not clamped
    - mapping: ``z`` and ``label`` to ``w`` [N, num_ws, w_dim], not truncated
    - synthesis: ``w`` [N, num_ws, w_dim] and the noise to ``image``

    ``noise``: "input", "const" (the planes of the file, inside) or "none". ``mean_style`` [w_dim] is what styles are
    drawn towards, in all rows; left out, the file's own; without any the graph has no truncation. ``precision`` "fp16",
    of portable and cuda graphs: the synthesis in float16 between float32 inputs and output (:mod:`.stylegan2_half`).
    ``levels``, of cuda graphs: the outputs are grey levels (:mod:`.cuda_lucid`). Raises InputError for another part,
    noise, flavour or precision, and for "const" where the file has no planes.
    """
    precisions = ("fp32",) if flavour == "fused" else ("fp32", "fp16")
    asked = (("part", part, PARTS), ("noise", noise, NOISES), ("flavour", flavour, tuple(_FLAVOURS)))
    for name, value, known in (*asked, (f"precision of {flavour} graphs", precision, precisions)):
        if value not in known:
            raise InputError(f"{name}: {value!r}; there are {', '.join(known)}")
    if noise == "const" and network.noisy and not network.has_stored_noise:
        raise InputError("noise: 'const'; the file has no stored noise maps; there are 'input' and 'none'")
    domain, builder = _FLAVOURS[flavour]
    graph = CudaGraph(precision) if flavour == "cuda" else Graph(domain)
    mean = network.mean_style if mean_style is None else mean_style
    inputs = _inputs(network, part, noise, mean is not None)
    if part == "mapping":
        builder.mapping(graph, network, "w")
        made = cuda_model if flavour == "cuda" else model
        return made(graph, "stylegan2_mapping", inputs, {"w": ["N", network.num_ws, network.w_dim]})
    if part == "whole":
        _styles(graph, network, mean, builder)
    name = "stylegan2" if part == "whole" else "stylegan2_synthesis"
    if flavour == "cuda":
        return cuda_stylegan2.ended(graph, network, name, inputs, noise, levels)
    if precision == "fp16":
        stylegan2_half.HalfSynthesis(graph, network, noise).build()
    else:
        builder.synthesis(graph, network, noise)
    image = ["N", network.img_channels, network.resolution, network.resolution]
    return model(graph, name, inputs, {"image": image})


def _styles(graph: Graph, network: StyleGan2Network, mean: np.ndarray | None, builder: ModuleType) -> None:
    """Mapping and truncation, to ``w``."""
    if mean is None:
        return builder.mapping(graph, network, "w")
    builder.mapping(graph, network, "w.plain")
    return builder.truncation(graph, network, "w.plain", mean, "w")


def _inputs(network: StyleGan2Network, part: str, noise: str, truncated: bool) -> dict[str, list]:
    """Names and shapes."""
    if part == "synthesis":
        inputs = {"w": ["N", network.num_ws, network.w_dim]}
    else:
        inputs = {"z": ["N", network.z_dim]} | ({"label": ["N", network.c_dim]} if network.c_dim else {})
    if part != "mapping" and noise == "input":
        inputs |= {f"noise_{k}": ["N", 1, side, side] for k, side in enumerate(network.noise_sizes)}
    return inputs | ({"truncation_psi": []} if part == "whole" and truncated else {})

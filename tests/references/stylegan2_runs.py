"""Golden networks of NVIDIA's and rosinality's, and graphs of them in ONNX Runtime."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from dsb_fast.export import nvlabs, rosinality, stylegan2_graphs, stylegan2_network
from dsb_fast.export.stylegan2_network import StyleGan2Network

import dsb_fast.ops
from dsb_fast import _kernels, random
from dsb_fast._library import has_library

needs_library = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)
FLAVOURS = ("portable", pytest.param("fused", marks=needs_library))
NVLABS = ("ada32_uncond_skip", "ada64_cond_resnet", "sg3repo32_uncond_resnet", "sg3repo64_cond_skip")
ROSINALITY = ("size32", "size64_train")


@cache
def network(data: Path, name: str) -> StyleGan2Network:
    if name in NVLABS:
        return stylegan2_network.from_nvlabs(nvlabs.from_file(data / f"nvlabs/{name}.pkl"))
    return stylegan2_network.from_rosinality(rosinality.from_file(data / f"rosinality/{name}.pt"))


@cache
def golden(data: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays, and truncation_psi."""
    folder = data / ("nvlabs" if name in NVLABS else "rosinality")
    said = json.loads((folder / f"{name}.json").read_text())
    with np.load(folder / f"{name}.golden.npz") as arrays:
        psi = {"truncation_psi": np.float32(said.get("truncation_psi", said.get("truncation")))}
        return dict(arrays) | psi | {"truncation_cutoff": said.get("truncation_cutoff")}


def graph(data: Path, name: str, part: str, noise: str, flavour: str) -> onnx.ModelProto:
    """Of a golden network, truncated towards the golden mean."""
    arrays = golden(data, name)
    mean = arrays["w_avg"] if name in NVLABS else arrays["latent_avg"]
    return stylegan2_graphs.build(network(data, name), part, noise, flavour, mean)


def session(model: onnx.ModelProto, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    if any(node.domain for node in model.graph.node):
        options.register_custom_ops_library(str(dsb_fast.ops.library_path()))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, threads: int = 1, **inputs) -> np.ndarray:
    """The one output; inputs that the graph has not are left out."""
    there = {value.name for value in model.graph.input}
    feed = {key: np.asarray(value, np.float32) for key, value in inputs.items() if key in there}
    return session(model, threads).run(None, feed)[0]


def drawn(model: onnx.ModelProto, count: int) -> dict[str, np.ndarray]:
    """Normal inputs of ``count`` samples."""
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim[1:]] for v in model.graph.input}
    psi = {"truncation_psi": np.array(0.6, np.float32)} if shapes.pop("truncation_psi", None) is not None else {}
    return {k: random.normal(5, 0, count, tuple(s), stream=n) for n, (k, s) in enumerate(shapes.items())} | psi

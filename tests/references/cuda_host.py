"""The GPU's operators compiled as loops for the host, and graphs of one of them on ONNX Runtime's CPU provider."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
_SHARED = ("ort/attributes.cc", "ort/tensors.cc", "ops/activation.cc", "ops/upfirdn2d_shape.cc")
_FLAGS = ("-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")


def _headers() -> str | None:
    folders = (os.environ.get("ONNXRUNTIME_INCLUDE_DIR"), "/usr/include/onnxruntime", "/usr/local/include/onnxruntime")
    return next((f for f in folders if f and (Path(f) / "onnxruntime_cxx_api.h").is_file()), None)


def _compile(compiler: str, headers: str, folder: Path) -> Path:
    csrc = ROOT / "csrc"
    sources = [p for pattern in ("cuda/*.cu", "cuda/*.cc", "cuda/ort/*.cc") for p in sorted(csrc.glob(pattern))]
    sources += [csrc / name for name in _SHARED]
    flags = [*_FLAGS, "-DDSB_CUDA_HOST", f"-I{csrc}", "-isystem", headers, "-x", "c++", "-c"]

    def one(source: Path) -> str:
        made = folder / f"{'_'.join(source.relative_to(csrc).parts)}.o"
        subprocess.run([compiler, *flags, str(source), "-o", str(made)], check=True)
        return str(made)

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(one, sources))
    library = folder / "libdsb_fast_ort_cuda_host.so"
    subprocess.run([compiler, "-shared", "-o", str(library), *objects], check=True)
    return library


@cache
def library() -> str:
    """The operator library: ``DSB_CUDA_HOST_LIBRARY``, or built here; skips the test without ONNX Runtime's headers."""
    if given := os.environ.get("DSB_CUDA_HOST_LIBRARY"):
        return given
    headers, compiler = _headers(), shutil.which(os.environ.get("CXX", "c++"))
    if headers is None or compiler is None:
        what = "ONNX Runtime's C headers (.ci/ort fetches them)" if headers is None else "a C++ compiler"
        pytest.skip(f"the GPU's operators can't be built for the host: {what} is not here")
    return str(_compile(compiler, headers, Path(tempfile.mkdtemp(prefix="dsb-cuda-host-"))))


_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
_TYPES |= {"int64": TensorProto.INT64, "uint64": TensorProto.UINT64}


def session(model: bytes) -> onnxruntime.InferenceSession:
    """A quiet session on the CPU that knows the GPU's operators."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.register_custom_ops_library(library())
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(op: str, inputs: dict, outputs=None, **attributes) -> list[np.ndarray]:
    """What the operator makes of ``inputs`` (None: left out); ``outputs``: their types, the first input's if None.

    bfloat16 arrays, which ONNX Runtime's Python interface can't take, go in and come out through casts to float32.
    """
    given = {name: np.asarray(v) for name, v in inputs.items() if v is not None}
    outputs = outputs or [_TYPES[next(iter(given.values())).dtype.name]]
    names = {name: f"{name}_cast" if v.dtype.name == "bfloat16" else name for name, v in given.items()}
    node_inputs = [names.get(name, "") for name in inputs]
    while not node_inputs[-1]:
        node_inputs.pop()
    made = [f"out{k}" for k in range(len(outputs))]
    nodes = [
        helper.make_node("Cast", [name], [cast], to=TensorProto.BFLOAT16)
        for name, cast in names.items()
        if cast != name
    ]
    nodes.append(helper.make_node(op, node_inputs, made, domain="dsb_fast", **attributes))
    for k, kind in enumerate(outputs):
        if kind == TensorProto.BFLOAT16:
            nodes.append(helper.make_node("Cast", [made[k]], [f"{made[k]}_cast"], to=TensorProto.FLOAT))
            made[k], outputs = f"{made[k]}_cast", [*outputs[:k], TensorProto.FLOAT, *outputs[k + 1 :]]
    fed = {name: v.astype(np.float32) if v.dtype.name == "bfloat16" else v for name, v in given.items()}
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info(name, _TYPES[v.dtype.name], [None] * v.ndim) for name, v in fed.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(made, outputs, strict=True)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("dsb_fast", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return session(model).run(None, fed)

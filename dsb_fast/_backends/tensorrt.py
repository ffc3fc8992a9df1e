"""ONNX Runtime's TensorRT execution provider: the portable graph as an engine of its own, kept in the cache."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
from functools import cache

from .. import _cache, _files
from .._errors import DeviceError
from .base import Device
from .cuda import CUDA_PROVIDER, CudaBackend, gpu_names, missing, rows_of
from .cuda_driver import gpus
from .onnx_runtime import onnxruntime_module

_PROVIDER = "TensorrtExecutionProvider"
_LIBRARIES = ("libnvinfer.so.10", "libnvinfer.so.11", "libnvinfer.so.9")
_PACKAGES = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")


@cache
def tensorrt_version() -> str:
    """TensorRT's version, "" where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    for name in _PACKAGES:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    for name in _LIBRARIES:
        try:
            return str(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
    return ""


class TensorRtBackend(CudaBackend):
    """Engines for the one size of batch in use. They round to float16 or bfloat16 by themselves, where asked to.

    An engine is built when a graph is first opened on a kind of GPU, which takes minutes, and read from the cache from
    then on. What TensorRT can't take, or build, ends in a DeviceError; device cuda then stands in.
    """

    device, auto, provider = "tensorrt", False, _PROVIDER
    precisions = ("fp32", "fp16", "bf16")
    rounds = True
    stand_in = "cuda"
    name = "onnxruntime-tensorrt"
    _needs = "it needs TensorRT 10, CUDA and a GPU of that number"

    @classmethod
    def flavours(cls, precision: str = "fp32") -> tuple[str, ...]:
        return ("portable",) if precision in cls.precisions else ()

    @classmethod
    def probe(cls) -> Device:
        if row := missing("tensorrt", False):
            return row
        if _PROVIDER not in onnxruntime_module().get_available_providers():
            why = "this onnxruntime has no TensorRT provider; pip install 'dsb-fast[gpu]'"
            return Device("tensorrt", False, False, "", why)
        if not tensorrt_version():
            return Device("tensorrt", False, False, "", "TensorRT is not installed; pip install tensorrt")
        detail = ", ".join(filter(None, [f"ONNX Runtime, TensorRT {tensorrt_version()}", gpu_names()]))
        return Device("tensorrt", True, False, detail, "auto never takes it: building its engines takes minutes")

    def _start(self) -> None:
        """Open the session, which builds the engine or finds it in the cache; once more without what it found."""
        self._inputs, self._batch = _shapes(self._graph)
        self._folder = engine_folder(self._graph, self._precision, self._batch, self._number)
        os.makedirs(self._folder, exist_ok=True)
        was_there = bool(os.listdir(self._folder))
        try:
            self._try_both()
        except DeviceError as error:
            if not was_there:
                raise
            import shutil

            logging.getLogger("dsb_fast").info("device tensorrt: building the engine anew: %s", error)
            shutil.rmtree(self._folder, ignore_errors=True)
            os.makedirs(self._folder, exist_ok=True)
            self._try_both()
        self.note = ""

    def _try_both(self) -> None:
        """As a CUDA graph; where that fails but an engine was built, for nodes that TensorRT left over, without."""
        try:
            self._open_session(captured=True)
        except DeviceError as error:
            if not any(name.endswith(".engine") for name in os.listdir(self._folder)):
                raise
            self._go_on_without_capture(error)
        self._ready()

    def _rows(self) -> int:
        return self._batch

    def _gpu_facts(self) -> dict[str, str]:
        return {**super()._gpu_facts(), "tensorrt": tensorrt_version()}

    def providers(self, captured: bool) -> list:
        """TensorRT, and the CUDA provider for what TensorRT leaves over."""
        profile = profile_of(self._inputs, self._batch)
        settings = {
            "device_id": str(self._number),
            "trt_profile_min_shapes": profile,
            "trt_profile_opt_shapes": profile,
            "trt_profile_max_shapes": profile,
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": self._folder,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": self._folder,
            "trt_cuda_graph_enable": str(int(captured)),
        }
        if self._precision != "fp32":
            settings[f"trt_{self._precision}_enable"] = "1"
        return [(_PROVIDER, settings), (CUDA_PROVIDER, self.cuda_options(captured=False))]


def profile_of(inputs: dict[str, tuple[int, ...]], rows: int) -> str:
    """The shapes of inputs for ``rows`` samples, as the provider's options have them."""
    return ",".join(f"{name}:{'x'.join(map(str, (rows, *shape)))}" for name, shape in inputs.items())


def engine_folder(graph: bytes | str, precision: str, rows: int, number: int) -> str:
    """Where the engine of a graph is kept: other weights, GPUs and versions have another folder."""
    gpu = gpus()[number] if number < len(gpus()) else None
    about = {
        "graph": _digest(graph),
        "precision": precision,
        "rows": rows,
        "gpu": [gpu.name, gpu.capability] if gpu else [],
        "onnxruntime": onnxruntime_module().__version__,
        "tensorrt": tensorrt_version(),
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return os.path.join(_cache.folder(), f"tensorrt-{digest[:32]}")


def _digest(graph: bytes | str) -> str:
    """SHA-256 of a serialised model, or of the file of one and of its weights beside it."""
    if isinstance(graph, bytes):
        return hashlib.sha256(graph).hexdigest()
    weights = graph[: -len(".onnx")] + ".weights"
    return "-".join(_files.sha256_of(path) for path in (graph, weights) if os.path.exists(path))


def _shapes(graph: bytes | str) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shape of one sample by input, of those that have a batch, and the samples of a call."""
    import onnx

    if isinstance(graph, bytes):
        model = onnx.load_model_from_string(graph)
    else:
        model = onnx.load_model(graph, load_external_data=False)
    inputs, outputs = (
        {value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in values}
        for values in (model.graph.input, model.graph.output)
    )
    rows = rows_of([shape[1:] for shape in outputs.values()])
    return {name: shape[1:] for name, shape in inputs.items() if shape}, rows

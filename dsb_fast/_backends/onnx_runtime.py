"""ONNX Runtime, and its CPU execution provider."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

import numpy as np

from .. import _kernels
from .._errors import DeviceError, GenerationError
from .._library import has_library, library_path
from .base import Backend, Device, cores

_CPU_PROVIDER = "CPUExecutionProvider"


@cache
def onnxruntime_module():
    """The package onnxruntime, None where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    onnxruntime.set_default_logger_severity(4)  # a missing CUDA library is reported by us, in one line
    return onnxruntime


@cache
def cpu_type() -> str:
    """What the bits of a portable graph depend on beside ONNX Runtime's version: maker, family, model, vector width."""
    fields = {}
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if not line.strip():
                    break
                key, _, value = line.partition(":")
                fields[key.strip()] = value.strip()
    except OSError:
        import platform

        return platform.processor() or platform.machine()
    flags = set(fields.get("flags", "").split())
    width = next((name for name in ("avx512_bf16", "avx512f", "avx2", "avx") if name in flags), "baseline")
    maker, family, model = (fields.get(key, "?") for key in ("vendor_id", "cpu family", "model"))
    return f"{maker} family {family} model {model} {width}"


def refused(device: str, error: BaseException) -> DeviceError:
    """One line of what ONNX Runtime says of a graph that it does not open."""
    return DeviceError(f"device {device}: ONNX Runtime refused the graph: {_said(error)}")


def failed(device: str, error: BaseException) -> GenerationError:
    """One line of what ONNX Runtime says of a graph that it could not run."""
    return GenerationError(f"device {device}: ONNX Runtime could not run the graph: {_said(error)}")


def _said(error: BaseException) -> str:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return re.sub(r"^/\S+:\d+ [^)]*\) ", "", first)[:200]  # where in its source it was


class OnnxRuntimeBackend(Backend):
    """A session of ONNX Runtime."""

    engine = "onnxruntime"
    provider: str

    def _open(self, graph: bytes | str, options, providers: list) -> None:
        try:
            self._session = onnxruntime_module().InferenceSession(graph, options, providers=providers)
        except Exception as error:  # ONNX Runtime raises many classes of its own
            raise refused(self.device, error) from None
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = self._session.run(None, inputs)
        except Exception as error:  # ONNX Runtime raises many classes of its own
            raise failed(self.device, error) from None
        return dict(zip(self._outputs, results, strict=True))


class OnnxRuntimeCpuBackend(OnnxRuntimeBackend):
    """The CPU provider, one thread a call: samples in parallel share the weights and wait for nobody."""

    device, auto, provider = "cpu", True, _CPU_PROVIDER
    precisions = ("fp32", "bf16", "fp16")
    grade = "repeatable"

    @classmethod
    def flavours(cls, precision: str = "fp32") -> tuple[str, ...]:
        fused = ("fused",) if _kernels.native is not None and has_library() else ()
        return {"fp32": (*fused, "portable"), "bf16": fused, "fp16": ("portable",)}.get(precision, ())

    @classmethod
    def probe(cls) -> Device:
        if find_spec("onnxruntime") is None:
            return Device("cpu", False, True, "", "onnxruntime is not installed; pip install 'dsb-fast[cpu]'")
        return Device("cpu", True, True, f"ONNX Runtime, {cores()} cores")

    def __init__(self, graph: bytes | str, precision: str, number: str, flavour: str = "portable"):
        ort = onnxruntime_module()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.flavour = flavour
        if flavour == "fused":
            options.register_custom_ops_library(library_path())
            self.grade, self.depends_on = "exact", {"arithmetic": _kernels.arithmetic()}
            self.batch_size = 16  # a group of samples, one a vector lane
        else:
            self.depends_on = {"onnxruntime": ort.__version__, "cpu": cpu_type()}
            self.batch_size = 8
        if precision != "fp32":
            self.grade = "near"
        self._open(graph, options, [_CPU_PROVIDER])
        self.name = "onnxruntime-cpu"
        self.parallel = cores()

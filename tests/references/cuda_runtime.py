"""A stand-in for onnxruntime-gpu: what is asked of CUDA is recorded and done by the CPU provider."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime

from dsb_fast._backends import cuda, tensorrt
from dsb_fast._backends.cuda_driver import DriverError, Gpu

from . import cuda_graphs, cuda_host

GPUS = (Gpu("NVIDIA Test 1", "9.0", 80 << 30), Gpu("NVIDIA Test 2", "8.6", 24 << 30))
PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")


@dataclass
class Runtime:
    """The module; ``refuse(name, options)`` says why a provider does not open a graph, None if it does."""

    refuse: Callable[[str, dict], str | None] = lambda name, options: None
    broken: str = ""  # why no session runs
    starts: bool = True  # the provider is among a session's afterwards
    available: tuple[str, ...] = PROVIDERS
    sessions: list[Session] = field(default_factory=list)
    buffers: list[tuple[str, int]] = field(default_factory=list)
    from_host: list[tuple[int, ...]] = field(default_factory=list)  # shapes of what was copied to the device
    graphs: list[str] = field(default_factory=list)  # numbers of CUDA graphs
    __version__: str = "1.99"

    def __post_init__(self):
        runtime = self

        class RunOptions(onnxruntime.RunOptions):
            def add_run_config_entry(self, name, value):
                assert name == "gpu_graph_id"
                runtime.graphs.append(value)

        class SessionOptions(onnxruntime.SessionOptions):
            libraries = ()

            def register_custom_ops_library(self, path):
                self.libraries = (*self.libraries, path)
                super().register_custom_ops_library(path)

        self.RunOptions, self.SessionOptions, self.OrtValue = RunOptions, SessionOptions, _Values(self)

    def get_available_providers(self) -> list[str]:
        return [*self.available, "CPUExecutionProvider"]

    def InferenceSession(self, graph, options, providers, enable_fallback=1):
        assert not enable_fallback  # it would print on standard output and go on with the CPU
        for name, settings in providers:
            if why := self.refuse(name, settings):
                raise RuntimeError(why)
        self.sessions.append(Session(self, graph, options, providers))
        return self.sessions[-1]


class Session:
    """On the CPU, whatever the providers are."""

    def __init__(self, runtime: Runtime, graph, options, providers):
        model = onnx.load_model_from_string(graph) if isinstance(graph, bytes) else onnx.load_model(graph)
        self.runtime, self.providers, self.libraries, self.runs = runtime, providers, options.libraries, 0
        self.threads = set()
        self.nodes = {node.op_type for node in model.graph.node}
        plain = onnxruntime.SessionOptions()
        plain.log_severity_level, plain.intra_op_num_threads = 4, 1
        if options.libraries:
            plain.register_custom_ops_library(cuda_host.library())
            model = cuda_graphs.on_cpu(model)
        self.real = onnxruntime.InferenceSession(model.SerializeToString(), plain, providers=["CPUExecutionProvider"])
        self.get_inputs, self.get_outputs = self.real.get_inputs, self.real.get_outputs
        self.io_binding = self.real.io_binding

    def get_providers(self) -> list[str]:
        return [name for name, _ in self.providers] if self.runtime.starts else ["CPUExecutionProvider"]

    def options(self, name: str = "CUDAExecutionProvider") -> dict[str, str]:
        return dict(self.providers)[name]

    def run_with_iobinding(self, binding, options=None):
        if self.runtime.broken:
            raise RuntimeError(self.runtime.broken)
        self.runs += 1
        self.threads.add(threading.get_ident())
        self.real.run_with_iobinding(binding)


class _Value(onnxruntime.OrtValue):
    runtime: Runtime

    def update_inplace(self, data):
        self.runtime.from_host.append(np.shape(data))
        super().update_inplace(data)

    def numpy(self):
        return super().numpy().copy()  # as of memory that is no host's


class _Values:
    def __init__(self, runtime: Runtime):
        self._runtime = runtime

    def ortvalue_from_shape_and_type(self, shape, kind, device, number):
        self._runtime.buffers.append((device, number))
        made = _Value(onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind, "cpu", 0)._get_c_value())
        made.runtime = self._runtime
        return made


class HostDriver:
    """Pinned memory is the heap's, and a copy is one from the host."""

    def __init__(self):
        self.allocated, self.entered, self.copies = [], set(), []

    def context(self, number):
        return 100 + number

    def enter(self, context):
        self.entered.add((threading.get_ident(), context))

    def stream(self):
        return 7

    def pinned(self, nbytes):
        self.allocated.append(ctypes.create_string_buffer(nbytes))
        return ctypes.addressof(self.allocated[-1])

    def copy(self, to, source, nbytes, stream):
        assert stream == 7
        self.copies.append(nbytes)
        ctypes.memmove(to, source, nbytes)


def _no_driver(*_):
    raise DriverError("there is none")


def install(monkeypatch, rows: int = 4, library: bool = True, driver=_no_driver, **settings) -> Runtime:
    """A machine with two GPUs and both providers, whose calls have ``rows`` samples; ``library``: our operators.

    ``driver`` makes what copies to pinned memory are asked of.
    """
    runtime = Runtime(**settings)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    path = cuda_host.library() if library else ""
    for module in (cuda, tensorrt):
        monkeypatch.setattr(module, "missing", lambda device, auto: None)
        monkeypatch.setattr(module, "onnxruntime_module", lambda: runtime)
        monkeypatch.setattr(module, "gpus", lambda: GPUS)
    monkeypatch.setattr(tensorrt, "tensorrt_version", lambda: "10.9")
    monkeypatch.setattr(cuda, "has_cuda_library", lambda: library)
    monkeypatch.setattr(cuda, "cuda_library_path", lambda: path)
    monkeypatch.setattr(cuda, "Driver", driver)
    for kind in ("_SIGNALS", "_IMAGES"):
        monkeypatch.setattr(cuda, kind, (rows, getattr(cuda, kind)[1]))
    return runtime

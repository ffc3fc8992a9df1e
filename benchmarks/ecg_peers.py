"""Ways to run the ECG network on the CPU, each with noise drawn in numbered order and int16 microvolts out.

The ONNX peers get dsb_fast's own noise generator and conversion, which favours them: only the network differs.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from harness import Missing
from machine import cores

from dsb_fast import _kernels, random

SHAPE = (8, 5000)
SCALE = 6000.0
BATCHES = (1, 8, 32)


def draw(first: int, count: int) -> np.ndarray:
    """Noise of the samples ``first`` to ``first + count - 1`` of seed 0, on the calling thread."""
    return random.uniform(0, first, count, SHAPE, low=-1.0, high=1.0, threads=1)


def microvolts(signal: np.ndarray) -> np.ndarray:
    """int16 of ``signal``, on the calling thread."""
    out = np.empty(signal.shape, np.int16)
    if not _kernels.microvolt(np.ascontiguousarray(signal), SCALE, out):
        raise FloatingPointError("the network's output has values that are not numbers")
    return out


def compile_forward(network) -> None:
    """``network.forward`` through torch.compile, made for the shapes that it meets first."""
    import torch

    network.forward = torch.compile(network.forward, dynamic=False)


def why_not_compiled() -> str:
    """What torch.compile lacks here, or ''."""
    return "" if shutil.which("g++") or shutil.which("clang++") else "torch.compile needs a C++ compiler"


class DsbFast:
    """``Generator.stream`` with its defaults, or on one thread."""

    def __init__(self, generator, threads: int | None = None):
        self._generator, self._threads = generator, threads
        self.setting = "defaults" if threads is None else f"{threads} thread"

    def signal(self, noise):
        return self._generator.run(noise=noise)["signal"]

    def run(self, count):
        for _ in self._generator.batches(0, 0, count, self._generator.model.options(), threads=self._threads):
            pass


class OnnxRuntime:
    """``calls`` threads that run whole batches, ``intra_op`` threads inside a call; operators of ``library``."""

    def __init__(self, graph: bytes, calls: int, intra_op: int, batch: int, library: str | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = intra_op, 1
        if library:
            options.register_custom_ops_library(library)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._calls, self._batch = calls, batch
        self.setting = f"{calls} x intra_op={intra_op}, batch {batch}"

    def signal(self, noise):
        parts = [self._session.run(None, {"noise": part})[0] for part in np.split(noise, len(noise) // self._batch)]
        return np.concatenate(parts)

    def _one(self, first):
        microvolts(self._session.run(None, {"noise": draw(first, self._batch)})[0])

    def run(self, count):
        firsts = range(0, count, self._batch)
        if self._calls == 1:
            for first in firsts:
                self._one(first)
            return
        with ThreadPoolExecutor(self._calls) as pool:
            list(pool.map(self._one, firsts))


def onnx_runtime(graph: bytes) -> list[OnnxRuntime]:
    """One session over all cores or a single-threaded call a core, at every batch size."""
    shares = [(1, cores())] if cores() == 1 else [(1, cores()), (cores(), 1)]
    return [OnnxRuntime(graph, *share, batch) for share in shares for batch in BATCHES]


class OnnxRuntimeOpenVino(OnnxRuntime):
    """A session of ONNX Runtime on the OpenVINO provider, a plugin of its own package. Raises Missing."""

    def __init__(self, graph: bytes, batch: int):
        try:
            import onnxruntime_ep_openvino as plugin
        except ImportError:
            raise Missing("onnxruntime-ep-openvino is not installed; pip install '.[bench]'") from None
        import onnxruntime

        if plugin.get_ep_name() not in {device.ep_name for device in onnxruntime.get_ep_devices()}:
            onnxruntime.register_execution_provider_library("dsb_fast_openvino", plugin.get_library_path())
        here = [device for device in onnxruntime.get_ep_devices() if device.ep_name == plugin.get_ep_name()]
        here = [device for device in here if device.ep_metadata.get("ov_device") == "CPU"]
        if not here:
            raise Missing("the OpenVINO provider offers no CPU device here; it takes Intel's processors only")
        options = onnxruntime.SessionOptions()
        options.add_provider_for_devices(here, {})
        self._session = onnxruntime.InferenceSession(graph, options)
        self._calls, self._batch = cores(), batch
        self.setting = f"OpenVINO provider, {self._calls} calls, batch {batch}"


class OpenVino:
    """OpenVINO's throughput mode: a static batch, as many asynchronous requests as it asks for."""

    def __init__(self, graph: bytes, batch: int, precision: str = "f32", hint: str = "THROUGHPUT"):
        import openvino

        core = openvino.Core()
        model = core.read_model(graph)
        model.reshape([batch, *SHAPE])
        settings = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision}
        self._model = core.compile_model(model, "CPU", settings)
        self._queue = openvino.AsyncInferQueue(self._model)
        self._queue.set_callback(self._done)
        self._batch, self._made = batch, 0
        self.setting = f"{hint}, {len(self._queue)} requests, batch {batch}"

    def signal(self, noise):
        request = self._model.create_infer_request()
        parts = [np.array(request.infer([part])[0]) for part in np.split(noise, len(noise) // self._batch)]
        return np.concatenate(parts)

    def _done(self, request, noise):  # the queue hands the noise back: it is shared, so it has to live until now
        self._made += len(microvolts(request.get_output_tensor().data))

    def run(self, count):
        self._made = 0
        for first in range(0, count, self._batch):
            noise = draw(first, self._batch)
            self._queue.start_async([noise], noise, share_inputs=True)
        self._queue.wait_all()
        if self._made != count:
            raise RuntimeError(f"OpenVINO finished {self._made} of {count} samples")


def openvino(graph: bytes, precision: str = "f32") -> list[OpenVino]:
    """Every batch size."""
    return [OpenVino(graph, batch, precision) for batch in BATCHES]


class Torch:
    """The network as published, in batches of 32 under inference_mode, eager or compiled; its own noise."""

    def __init__(self, network, batch: int = 32, compiled: bool = False):
        from published_torch import PublishedNetwork

        self._network, self._batch = PublishedNetwork(network), batch
        if compiled:
            compile_forward(self._network)
        self.setting = f"{'torch.compile' if compiled else 'eager'}, inference_mode, batch {batch}"

    def signal(self, noise):
        return self._network.signal(noise)

    def run(self, count):
        self._network.generate(count, self._batch)

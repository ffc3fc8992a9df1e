"""OpenVINO's own runtime on the CPU. Never picked by itself: its sums are ordered differently from run to run."""

from __future__ import annotations

import queue
from importlib.util import find_spec

import numpy as np

from .._errors import DeviceError
from .base import Backend, Device, cores


class OpenVinoBackend(Backend):
    """Asynchronous requests under the throughput hint; float32 is asked for, or it would take bfloat16 by itself."""

    device, auto, engine = "openvino", False, "openvino"
    grade = "near"

    @classmethod
    def probe(cls) -> Device:
        if find_spec("openvino") is None:
            return Device("openvino", False, False, "", "openvino is not installed; pip install 'dsb-fast[openvino]'")
        return Device("openvino", True, False, f"OpenVINO, {cores()} cores", "auto never takes it; ask for it by name")

    def __init__(self, graph: bytes | str, precision: str, number: str, flavour: str = "portable"):
        import openvino

        try:
            core = openvino.Core()
            settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
            model = core.compile_model(core.read_model(graph), "CPU", settings)
        except Exception as error:  # OpenVINO raises RuntimeError and classes of its own
            raise DeviceError(
                f"device openvino: OpenVINO refused the graph: {str(error).strip().splitlines()[-1][:200]}"
            ) from None
        for port in model.inputs:  # fills a table of the binding's; two threads that did so at once would hang
            port.get_element_type().to_dtype()
        self._outputs = [port.get_any_name() for port in model.outputs]
        self.parallel = max(1, model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._idle: queue.SimpleQueue = queue.SimpleQueue()
        for _ in range(self.parallel):
            self._idle.put(model.create_infer_request())
        self.name = "openvino"
        self.depends_on = {"openvino": openvino.__version__}
        self.batch_size = 8

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        request = self._idle.get()
        try:
            results = request.infer(inputs, share_inputs=True)
            return {name: np.array(results[k]) for k, name in enumerate(self._outputs)}
        finally:
            self._idle.put(request)

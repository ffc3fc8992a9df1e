"""Ways to run the GI-tract network on the CPU, each with z and noise drawn in numbered order and uint8 images out.

The ONNX peers get dsb_fast's own random numbers and conversion, which favours them: only the network differs.
"""

from __future__ import annotations

import ecg_peers
import numpy as np
from gi_model import TRUNCATION

from dsb_fast import _kernels, random

BATCHES = (1, 8)
LEVELS = (255.0, 0.5)  # scale and offset of grey levels


class Inputs:
    """The network's inputs by number, of seed 0, drawn on the calling thread."""

    levels = LEVELS

    def __init__(self, latent_dim: int, image_size: int):
        self.latent_dim, self.plane = latent_dim, (image_size, image_size)

    def draw(self, first: int, count: int) -> dict[str, np.ndarray]:
        """Of the samples ``first`` to ``first + count - 1``."""
        return {
            "z": random.normal(0, first, count, self.latent_dim, stream=0, threads=1),
            "noise": random.uniform(0, first, count, self.plane, stream=1, threads=1),
            "truncation_psi": np.array(TRUNCATION, np.float32),
        }

    def shapes(self, batch: int) -> dict[str, list[int]]:
        """Of a batch."""
        return {"z": [batch, self.latent_dim], "noise": [batch, *self.plane], "truncation_psi": []}


def parts(inputs: dict[str, np.ndarray], batch: int) -> list[dict[str, np.ndarray]]:
    """``inputs`` cut into batches."""
    firsts = range(0, len(inputs["z"]), batch)
    return [{name: a[k : k + batch] if a.ndim else a for name, a in inputs.items()} for k in firsts]


def grey_levels(image: np.ndarray, levels: tuple[float, float] = LEVELS) -> np.ndarray:
    """uint8 [N, H, W, C] of float32 [N, C, H, W], on the calling thread."""
    return _kernels.grey_levels(np.ascontiguousarray(image), *levels)


class DsbFast:
    """``Generator.stream`` with its defaults, or on ``threads`` threads."""

    def __init__(self, generator, threads: int | None = None):
        self._generator, self._threads = generator, threads
        self._options = generator.model.options(truncation=TRUNCATION)
        self.setting = f"{generator.flavour}, " + ("defaults" if threads is None else f"{threads} thread")

    def image(self, inputs):
        return self._generator.run(**inputs)["image"]

    def run(self, count):
        for _ in self._generator.batches(0, 0, count, self._options, threads=self._threads):
            pass


class OnnxRuntime(ecg_peers.OnnxRuntime):
    """``calls`` threads that each run whole batches, and ``intra_op`` threads inside a call."""

    def __init__(self, graph: bytes, inputs: Inputs, calls: int, intra_op: int, batch: int, library: str | None = None):
        super().__init__(graph, calls, intra_op, batch, library)
        self._inputs = inputs

    def image(self, inputs):
        return np.concatenate([self._session.run(None, part)[0] for part in parts(inputs, self._batch)])

    def _one(self, first):
        grey_levels(self._session.run(None, self._inputs.draw(first, self._batch))[0], self._inputs.levels)


def onnx_runtime(graph: bytes, inputs: Inputs, library: str | None = None) -> list[OnnxRuntime]:
    """One session over all cores or a single-threaded call a core, at every batch size."""
    cores = ecg_peers.cores()
    shares = dict.fromkeys([(1, cores), (cores, 1)])
    return [OnnxRuntime(graph, inputs, *share, batch, library) for share in shares for batch in BATCHES]


def onnx_runtime_plain(build, inputs: Inputs) -> list[OnnxRuntime]:
    """The same of graphs whose batch is fixed: ``build(batch)`` makes one."""
    cores = ecg_peers.cores()
    shares = dict.fromkeys([(1, cores), (cores, 1)])
    graphs = {batch: build(batch) for batch in BATCHES}
    return [OnnxRuntime(graph, inputs, *share, batch) for share in shares for batch, graph in graphs.items()]


class OpenVino:
    """OpenVINO's throughput mode: as many asynchronous requests as it asks for.

    The batch is fixed above 1; at 1 it stays dynamic, since version 2026.4.1 with a batch fixed at 1 makes images that
    are wrong and differ from call to call.
    """

    def __init__(self, graph: bytes, inputs: Inputs, batch: int, precision: str):
        import openvino

        core = openvino.Core()
        model = core.read_model(graph)
        if batch > 1:
            model.reshape(inputs.shapes(batch))
        settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
        self._queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", settings))
        self._queue.set_callback(self._done)
        self._inputs, self._batch = inputs, batch
        self.setting = f"THROUGHPUT, {len(self._queue)} requests, batch {batch}"

    def _done(self, request, job):
        number, _, take = job  # the inputs are shared, so they have to live until now
        take(number, request.get_output_tensor().data)

    def _each(self, batches, take) -> None:
        """``take(number, images)`` of every batch, on the queue's threads."""
        for number, inputs in enumerate(batches):
            self._queue.start_async(inputs, (number, inputs, take), share_inputs=True)
        self._queue.wait_all()

    def image(self, inputs):
        made: dict[int, np.ndarray] = {}
        self._each(parts(inputs, self._batch), lambda number, images: made.update({number: np.array(images)}))
        return np.concatenate([made[number] for number in sorted(made)])

    def run(self, count):
        made: list[int] = []
        batches = (self._inputs.draw(first, self._batch) for first in range(0, count, self._batch))
        self._each(batches, lambda _, images: made.append(len(grey_levels(images, self._inputs.levels))))
        if sum(made) != count:
            raise RuntimeError(f"OpenVINO finished {sum(made)} of {count} samples")


def openvino(graph: bytes, inputs: Inputs, precision: str = "f32") -> list[OpenVino]:
    """Every batch size."""
    return [OpenVino(graph, inputs, batch, precision) for batch in BATCHES]


class Torch:
    """The network as published, under no_grad as its package has it, eager or compiled; its own random numbers."""

    def __init__(self, network, batch: int, compiled: bool = False):
        self._network, self._batch = network, batch
        if compiled:
            ecg_peers.compile_forward(network)
        self.setting = f"{'torch.compile' if compiled else 'eager'}, no_grad, batch {batch}"

    def image(self, inputs):
        images = [self._network.image(p["z"], p["noise"], TRUNCATION) for p in parts(inputs, self._batch)]
        return np.concatenate(images)

    def run(self, count):
        self._network.generate(count, self._batch, TRUNCATION)

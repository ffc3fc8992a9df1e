"""ONNX Runtime's CUDA execution provider: one size of batch, buffers that stay in place, two batches in flight."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec

import numpy as np

from .._errors import DeviceError
from .._library import cuda_library_path, has_cuda_library
from .._models.on_device import NOT_NUMBERS
from .._stages import stage
from .base import Device, cores
from .cuda_driver import Driver, DriverError, PinnedCopies, gpus
from .device_batch import DeviceBatch, sample_shape
from .device_gate import gate
from .onnx_runtime import OnnxRuntimeBackend, failed, onnxruntime_module, refused

CUDA_PROVIDER = "CUDAExecutionProvider"
NO_CUDA_OPERATORS = "the CUDA operators are not built (libdsb_fast_ort_cuda.so): the portable graph runs in their place"
# Samples of a call where they are small, and values of its outputs: of signals [C, L], and of images. A large GPU has
# some 130 processors; 64 ECGs leave most of them without a tile in the layers in the middle.
_SIGNALS, _IMAGES = (256, 256 * 8 * 5000), (64, 64 * 128 * 128 * 4)
_IN_FLIGHT = 2  # batches: one is computed while another is copied
_LAST = 2**64


def missing(device: str, auto: bool) -> Device | None:
    """The row of ``devices()`` that says why ``device`` is not here, None if nothing is missing so far."""
    if find_spec("onnxruntime") is None:
        return Device(device, False, auto, "", "onnxruntime is not installed; pip install 'dsb-fast[gpu]'")
    if not os.path.exists("/dev/nvidiactl") and not os.path.exists("/dev/dxg"):
        return Device(device, False, auto, "", "this machine has no NVIDIA GPU, or its driver is not loaded")
    return None


def rows_of(shapes: list[tuple[int, ...]]) -> int:
    """Samples of a call of a network whose outputs are of ``shapes``, one sample each."""
    most, values = _IMAGES if any(len(shape) > 2 for shape in shapes) else _SIGNALS
    return max(1, min(most, values // max(map(math.prod, shapes))))


def gpu_names() -> str:
    """The GPUs, for a row of ``devices()``."""
    names = [f"{gpu.name}, {gpu.memory / 2**30:.0f} GiB" for gpu in gpus()]
    return "; ".join(f"{k}: {name}" for k, name in enumerate(names)) if len(names) > 1 else "".join(names)


class CudaBackend(OnnxRuntimeBackend):
    """The CUDA provider, in full float32 (no TF32), or what a graph has in float16.

    Every call of the network has the same number of samples, padded where there are fewer: cuDNN's choice of algorithm
    depends on it. A graph of flavour "cuda" makes its random numbers and whole numbers on the device.
    """

    device, auto, numbered, provider = "cuda", True, True, CUDA_PROVIDER
    precisions = ("fp32", "fp16")
    grade = "near"
    fixed_batch = True
    memory = "cuda"  # of the batches

    @classmethod
    def flavours(cls, precision: str = "fp32") -> tuple[str, ...]:
        own = ("cuda",) if has_cuda_library() else ()
        return (*own, "portable") if precision in cls.precisions else ()

    @classmethod
    def probe(cls) -> Device:
        if row := missing("cuda", True):
            return row
        if CUDA_PROVIDER not in onnxruntime_module().get_available_providers():
            return Device("cuda", False, True, "", "this onnxruntime has no CUDA provider; pip install 'dsb-fast[gpu]'")
        return Device("cuda", True, True, ", ".join(filter(None, ["ONNX Runtime, CUDA provider", gpu_names()])))

    name = "onnxruntime-cuda"

    def __init__(self, graph: bytes | str, precision: str, number: str, flavour: str = "portable"):
        # use_tf32=0 is not enough: where cuDNN has no other kernel ONNX Runtime takes TF32's without saying so. With
        # this it is refused, and the next route is taken.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
        self._ort = onnxruntime_module()
        if hasattr(self._ort, "preload_dlls"):
            with contextlib.redirect_stdout(io.StringIO()):  # it prints what it can't load; the provider says so, too
                self._ort.preload_dlls()
        self._graph, self._precision, self._number, self.flavour = graph, precision, int(number or 0), flavour
        self._making, self._busy, self._drawing = (threading.Lock() for _ in range(3))
        self._draws: dict = {}
        # ONNX Runtime keeps cuDNN's handle and the captured graphs for each thread: another one would capture anew.
        self._runner = ThreadPoolExecutor(1, "dsb-cuda")
        self._copies = self._pinned()
        self.note = "" if flavour == "cuda" or has_cuda_library() else NO_CUDA_OPERATORS
        self._start()
        self.parallel = max(_IN_FLIGHT, cores())  # threads encode what others have made
        self.depends_on = {"onnxruntime": self._ort.__version__, **self._gpu_facts()}

    def _gpu_facts(self) -> dict[str, str]:
        return {"gpu": gpus()[self._number].name} if self._number < len(gpus()) else {}

    def _pinned(self) -> PinnedCopies | None:
        """None where the driver refuses: copies then take a detour through pageable memory."""
        with contextlib.suppress(DriverError):
            return PinnedCopies(Driver(), self._number)
        return None

    def providers(self, captured: bool) -> list:
        """What the session is opened with; ``captured``: as a CUDA graph, which needs every node on the device."""
        return [(CUDA_PROVIDER, self.cuda_options(captured))]

    def cuda_options(self, captured: bool) -> dict[str, str]:
        return {
            "device_id": str(self._number),
            "use_tf32": "0",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "cudnn_conv_use_max_workspace": "1",
            "enable_cuda_graph": str(int(captured)),
        }

    def _start(self) -> None:
        """Open the session, as a CUDA graph where ONNX Runtime can capture it, and run it once.

        A graph that samples don't need is run when it is first asked for: a run searches algorithms and takes memory.
        """
        try:
            self._open_session(captured=True)
        except DeviceError as error:
            self._go_on_without_capture(error)
        if not self.draws or NOT_NUMBERS in [port.name for port in self._session.get_outputs()]:
            self._ready()

    def _go_on_without_capture(self, error: DeviceError) -> None:
        logging.getLogger("dsb_fast").info("device %s: no CUDA graph: %s", self.device, error)
        self._open_session(captured=False)

    def _open_session(self, captured: bool) -> None:
        self._session = self._opened(self._graph, self.providers(captured))
        self.captured, self.batch_size, self._idle = captured, self._rows(), None

    def _ready(self) -> None:
        """Make the batches and run each of them once, which captures it; nothing if that was done."""
        with self._making:
            if self._idle is not None:
                return
            try:
                self._idle = self._batches()
            except DeviceError as error:
                if not self.captured:
                    raise
                self._go_on_without_capture(error)
                self._idle = self._batches()

    def _batches(self) -> queue.SimpleQueue:
        with gate.alone():
            return self._run_batches()

    def _run_batches(self) -> queue.SimpleQueue:
        idle: queue.SimpleQueue = queue.SimpleQueue()
        try:
            for number in range(1, 1 + _IN_FLIGHT):
                graph = number if self.captured else None
                batch = DeviceBatch(self._ort, self._session, self.batch_size, self.memory, self._number, graph)
                batch.fill({name: np.zeros(tuple(v.shape()), np.float32) for name, v in batch.inputs.items()})
                self._runner.submit(batch.run).result()
                idle.put(batch)
        except Exception as error:  # ONNX Runtime raises many classes of its own
            raise DeviceError(str(failed(self.device, error))) from None
        return idle

    def _opened(self, graph: bytes | str, providers: list):
        options = self._ort.SessionOptions()
        options.log_severity_level = 4
        try:
            if self.flavour == "cuda":
                options.register_custom_ops_library(cuda_library_path())
            with gate.work():
                session = self._ort.InferenceSession(graph, options, providers=providers, enable_fallback=0)
        except Exception as error:  # ONNX Runtime raises many classes of its own
            raise refused(self.device, error) from None
        if self.provider not in session.get_providers():
            raise DeviceError(
                f"device {self.device}:{self._number}: its provider could not start ({self._needs}); device cpu works"
            )
        return session

    _needs = "it needs CUDA 13, cuDNN 9 and a GPU of that number"

    def _rows(self) -> int:
        """Samples of every call."""
        return rows_of([sample_shape(port) or () for port in self._session.get_outputs()])

    @property
    def draws(self) -> bool:
        """Whether :meth:`sample` works: random numbers are drawn on the device."""
        return self.flavour == "cuda"

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = next((len(values) for values in inputs.values() if values.ndim), 1)
        parts = []
        for first in range(0, max(count, 1), self.batch_size):
            piece = slice(first, min(first + self.batch_size, count))
            arrays = {name: values[piece] if values.ndim else values for name, values in inputs.items()}
            parts.append(self._run(arrays, 0, piece.stop - first))
        return joined(parts)

    def sample(self, draws, seed: int, start: int, count: int, still: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for samples ``start`` to ``start + count - 1``; ``draws`` are made on the device.

        ``draws``: of :mod:`dsb_fast.export.cuda_draws`; ``still``: the other inputs, numbers or one a sample.
        """
        parts = []
        for first in range(start, start + max(count, 1), self.batch_size):
            rows = min(self.batch_size, start + count - first)
            begin = min(first, _LAST - self.batch_size)  # no number follows the last: the batch begins earlier
            piece = slice(first - start, first - start + rows)
            given = {name: values[piece] if values.ndim else values for name, values in still.items()}
            draw = partial(self._draw, self._draw_session(draws), seed, begin)
            parts.append(self._run(given, first - begin, rows, draw))
        return joined(parts)

    def _run(self, given: dict, first: int, count: int, draw=None) -> dict[str, np.ndarray]:
        """Samples ``first`` to ``first + count - 1`` of a batch, with what is ``given`` put there and what is drawn."""
        self._ready()
        with stage("wait"):
            batch = self._idle.get()
        try:
            with gate.work():
                with stage("copy"):
                    batch.fill(given, first)
                self._compute(batch, draw)
                with stage("copy"):
                    return {name: self._taken(batch, name, first, count) for name in batch.outputs}
        except DeviceError:
            raise
        except Exception as error:  # ONNX Runtime raises many classes of its own
            raise failed(self.device, error) from None
        finally:
            self._idle.put(batch)

    def _compute(self, batch: DeviceBatch, draw) -> None:
        """The device has one thing to do at a time."""
        with stage("wait"):
            self._busy.acquire()
        try:
            with stage("device"):
                self._runner.submit(_drawn_and_run, batch, draw).result()
        finally:
            self._busy.release()

    def _taken(self, batch: DeviceBatch, name: str, first: int, count: int) -> np.ndarray:
        if self._copies is not None:
            made = batch.pinned(name, first, count, self._copies)
            if made is not None:
                return made
        return batch.taken(name, first, count)

    @staticmethod
    def _draw(session, seed: int, start: int, batch: DeviceBatch) -> None:
        """Random numbers into the batch's inputs."""
        binding = session.io_binding()
        for name, number in (("seed", seed), ("start", start), ("count", batch.rows)):
            binding.bind_cpu_input(name, np.array(number, np.uint64))
        for output in session.get_outputs():
            binding.bind_ortvalue_output(output.name, batch.inputs[output.name])
        session.run_with_iobinding(binding)

    def _draw_session(self, draws):
        """The session that draws, opened at the first call: it is apart from the network's, which may be captured."""
        from ..export import cuda_draws

        with self._drawing:
            key = repr(draws)
            if key not in self._draws:
                graph = cuda_draws.build(draws, self._channels_last(draws)).SerializeToString()
                self._draws[key] = self._opened(graph, self.providers(captured=False))
            return self._draws[key]

    def _channels_last(self, draws) -> list[str]:
        """What the network takes with its channels last."""
        takes = {port.name: sample_shape(port) for port in self._session.get_inputs()}
        return [name for draw in draws for name, shape in draw.shapes.items() if takes[name] != shape]


def _drawn_and_run(batch: DeviceBatch, draw) -> None:
    if draw is not None:
        draw(batch)
    batch.run()


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The outputs of several calls one after the other."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

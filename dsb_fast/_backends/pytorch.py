"""The networks in PyTorch, on a CPU or a GPU. Never picked by itself: load(..., backend="torch") asks for it."""

from __future__ import annotations

import contextlib
import queue
import threading
from functools import partial
from importlib.util import find_spec

import numpy as np

from .._errors import DeviceError, GenerationError, MissingDependencyError
from .base import Backend, Device, cores

_PIXELS = {"cpu": 8 * 128 * 128, "cuda": 64 * 128 * 128}  # a call
_MOST = {"cpu": 8, "cuda": 256}  # samples a call
_SIGNALS = {"cpu": 8, "cuda": 64}


def _torch():
    """torch, imported when it is first needed. Raises MissingDependencyError."""
    try:
        import torch
    except ImportError:
        raise MissingDependencyError("backend torch: torch is not installed; pip install 'dsb-fast[torch]'") from None
    return torch


class _TorchBackend(Backend):
    """A network of dsb_fast._networks. All calls of it are of one batch size, fewer samples are filled up to it.

    A sample then never meets another algorithm because others are made with it. float32 is float32: TF32 is off.
    """

    auto, engine, takes = False, "torch", "description"
    precisions = ("fp32", "fp16", "bf16")
    grade, flavour = "near", "torch"
    rounds = fixed_batch = draws = True

    @classmethod
    def flavours(cls, precision: str = "fp32") -> tuple[str, ...]:
        return ("torch",) if precision in cls.precisions else ()

    def __init__(self, model, precision: str, number: str, flavour: str = "torch", batch_size: int | None = None):
        torch = _torch()
        from .. import _networks

        self.depends_on = {"torch": torch.__version__}
        self._device = self._checked(torch, number)
        types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        with torch.inference_mode():
            self._network = _networks.network(model, self._device, types[precision])
        self.name, self._ends = f"torch-{self.device}", model.ends
        self.batch_size = batch_size or self._samples_a_call()
        self._programs: dict[tuple, _Pool] = {}
        self._making = threading.Lock()

    def _checked(self, torch, number: str):
        """The torch.device. Raises DeviceError where it is not there."""
        return torch.device("cpu")

    def _samples_a_call(self) -> int:
        side = self._network.image_size
        if side is None:
            return _SIGNALS[self.device]
        return max(1, min(_MOST[self.device], _PIXELS[self.device] // side**2))

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        batched = {name: array for name, array in inputs.items() if array.ndim}
        still = {name: array for name, array in inputs.items() if not array.ndim}
        shapes = tuple((name, array.shape[1:]) for name, array in batched.items())
        pool = self._pool(("run", shapes, *still), self._network.run, self._room(batched) | still)
        count, parts = len(next(iter(batched.values()))), []
        for first in range(0, count, self.batch_size):
            part = {name: array[first : first + self.batch_size] for name, array in batched.items()}
            parts.append(pool({name: self._filled(array) for name, array in part.items()} | still))
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}

    def sample(self, draws, seed: int, start: int, count: int, still: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Whole numbers of samples ``start`` to ``start + count - 1``; ``draws`` are made on the device.

        ``still``: the other inputs, numbers or one a sample. Outputs as :func:`.on_device.whole_numbers` takes them.
        """
        from .._networks.sampler import Sampler

        batched = {name: array for name, array in still.items() if array.ndim}
        fixed = {name: array for name, array in still.items() if not array.ndim} | {"seed": _wrapped(seed)}
        function = Sampler(self._network, draws, self.batch_size, self._ends)
        key = ("sample", repr(draws), *((name, array.shape[1:]) for name, array in batched.items()), *fixed)
        pool = self._pool(key, function, self._room(batched) | fixed | {"start": _wrapped(start)})
        parts = []
        for first in range(0, max(count, 1), self.batch_size):
            part = {name: self._filled(array[first : first + self.batch_size]) for name, array in batched.items()}
            parts.append(pool(part | fixed | {"start": _wrapped(start + first)}))
        return {
            "samples": np.concatenate([part["samples"] for part in parts])[:count],
            "not_numbers": sum(part["not_numbers"] for part in parts),
        }

    def _room(self, batched: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.zeros((self.batch_size, *array.shape[1:]), array.dtype) for name, array in batched.items()}

    def _filled(self, array: np.ndarray) -> np.ndarray:
        """``array``, its last sample repeated up to a whole batch."""
        missing = self.batch_size - len(array)
        return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array

    def _pool(self, key: tuple, function, room: dict[str, np.ndarray]) -> _Pool:
        with self._making:
            if key not in self._programs:
                self._programs[key] = _Pool([self._program(function, room) for _ in range(self.parallel)], self.device)
            return self._programs[key]

    def _program(self, function, room):
        return _Eager(function)


class TorchCpuBackend(_TorchBackend):
    """On torch's own threads, one call at a time."""

    device = "cpu"
    parallel = 1

    @classmethod
    def probe(cls) -> Device:
        if find_spec("torch") is None:
            return Device("cpu", False, False, "", "torch is not installed; pip install 'dsb-fast[torch]'")
        return Device("cpu", True, False, f"PyTorch, {cores()} cores")


class TorchCudaBackend(_TorchBackend):
    """As CUDA graphs with buffers of their own, two of them: one copies while the other computes."""

    device, numbered = "cuda", True
    parallel = 2

    @classmethod
    def probe(cls) -> Device:
        if find_spec("torch") is None:
            return Device("cuda", False, False, "", "torch is not installed; pip install 'dsb-fast[torch]'")
        if not _torch().cuda.is_available():
            return Device("cuda", False, False, "", "torch finds no CUDA GPU, or was built without CUDA")
        return Device("cuda", True, False, f"PyTorch, {_torch().cuda.get_device_name()}")

    def _checked(self, torch, number: str):
        if int(number or 0) >= torch.cuda.device_count():
            here = torch.cuda.device_count()
            raise DeviceError(f"device cuda:{number or 0}: torch finds {here}; cuda:0 is the first")
        device = torch.device("cuda", int(number or 0))
        self.depends_on |= {
            "gpu": torch.cuda.get_device_name(device),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
        }
        return device

    def _program(self, function, room):
        from .._networks.captured import Captured
        from ..ops import _device

        try:
            kernels = _device.module() if hasattr(function, "draw") else None
            if kernels is None:
                return Captured(_in_float32(function), room, self._device)
            room = room | function.room()
            return Captured(_in_float32(function), room, self._device, partial(function.draw, kernels))
        except RuntimeError as error:  # torch's class for all that CUDA reports
            text = " ".join(str(error).split())[:200]
            raise DeviceError(f"device {self._device}: torch could not run the network: {text}") from None


class _Pool:
    """Programs that do the same, each for one call at a time."""

    def __init__(self, programs: list, device: str):
        self._device = device
        self._idle: queue.SimpleQueue = queue.SimpleQueue()
        for program in programs:
            self._idle.put(program)

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        program = self._idle.get()
        try:
            return program(inputs)
        except RuntimeError as error:  # torch's class for all that CUDA reports
            text = " ".join(str(error).split())[:200]
            raise GenerationError(f"device {self._device}: torch could not run the network: {text}") from None
        finally:
            self._idle.put(program)


class _Eager:
    """A function of tensors on the CPU, for numpy arrays."""

    def __init__(self, function):
        self._function = function

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        torch = _torch()
        with torch.inference_mode(), full_float32():
            tensors = {name: torch.from_numpy(np.require(a, requirements="CW")) for name, a in inputs.items()}
            return {name: made.numpy() for name, made in self._function(tensors).items()}


@contextlib.contextmanager
def full_float32():
    """float32 products in float32 and not in TF32, whatever the program around has asked torch for."""
    torch = _torch()
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _in_float32(function):
    """``function`` of tensors under :func:`full_float32`."""

    def run(inputs: dict) -> dict:
        with full_float32():
            return function(inputs)

    return run


def _wrapped(number: int) -> np.ndarray:
    """An unsigned 64-bit number as torch, which has none, holds it."""
    return np.array(number % (1 << 64), np.uint64).view(np.int64)

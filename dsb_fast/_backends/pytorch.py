"""The networks in PyTorch, on a CPU or a GPU. Never picked by itself: load(..., backend="torch") asks for it."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from importlib.util import find_spec

import numpy as np

from .._errors import DeviceError, GenerationError, MissingDependencyError
from .base import Backend, Device, cores

_NOT_NUMBERS = "the network's output has values that are not numbers; the weights are unusable"
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
    draws = True

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
        self.name, self.flavour = f"torch-{self.device}", "torch"
        size = model.settings["network"].resolution if model.family == "stylegan2" else _lucid_size(model)
        most = (
            _SIGNALS[self.device] if size is None else max(1, min(_MOST[self.device], _PIXELS[self.device] // size**2))
        )
        self.batch_size = batch_size or most
        self._programs: dict[tuple, _Pool] = {}
        self._making = threading.Lock()

    def _checked(self, torch, number: str):
        """The torch.device. Raises DeviceError where it is not there."""
        return torch.device("cpu")

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

    def microvolts(self, seed: int, start: int, count: int, length: int, scale: float) -> np.ndarray:
        """int16 [count, leads, length] of samples ``start`` to ``start + count - 1``; noise is drawn on the device."""
        from .._models.description import Drawn

        noise = Drawn("uniform", 0, {"noise": (self._network.leads, length)}, -1.0, 1.0)
        return self._samples(("microvolts", scale), [noise], {}, seed, start, count, _Microvolts(scale))

    def grey_levels(self, drawn: list, given: dict, seed: int, start: int, count: int, levels) -> np.ndarray:
        """uint8 [count, height, width, channels]; ``drawn`` inputs are drawn on the device, ``given`` ones copied."""
        return self._samples(("levels", levels), drawn, given, seed, start, count, _GreyLevels(*levels))

    def _samples(self, key: tuple, drawn: list, given: dict, seed: int, start: int, count: int, finish) -> np.ndarray:
        shapes = tuple((name, array.shape[array.ndim and 1 :]) for name, array in given.items())
        key = (*key, shapes, *((d.kind, d.stream, *d.shapes.items()) for d in drawn))
        batched = {name: array for name, array in given.items() if array.ndim}
        still = {name: array for name, array in given.items() if not array.ndim} | {"seed": _wrapped(seed)}
        room = self._room(batched) | still | {"start": _wrapped(start)}
        pool = self._pool(key, _Sampler(self._network, drawn, self.batch_size, finish), room)
        parts = []
        for first in range(0, count, self.batch_size):
            part = {name: self._filled(a[first : first + self.batch_size]) for name, a in batched.items()}
            made = pool(part | still | {"start": _wrapped(start + first)})
            if not made["finite"]:
                raise GenerationError(_NOT_NUMBERS)
            parts.append(made["samples"])
        return np.concatenate(parts)[:count] if len(parts) != 1 else parts[0][:count]

    def _room(self, batched: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.zeros((self.batch_size, *array.shape[1:]), array.dtype) for name, array in batched.items()}

    def _filled(self, array: np.ndarray) -> np.ndarray:
        """``array``, its last sample repeated up to a whole batch."""
        missing = self.batch_size - len(array)
        return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array

    def _pool(self, key: tuple, function, room: dict[str, np.ndarray]) -> _Pool:
        with self._making:
            if key not in self._programs:
                self._programs[key] = _Pool(self._program(function, room) for _ in range(self.parallel))
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
            raise DeviceError(f"device cuda:{number}: torch finds {torch.cuda.device_count()}; cuda:0 is the first")
        device = torch.device("cuda", int(number or 0))
        self.depends_on |= {
            "gpu": torch.cuda.get_device_name(device),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
        }
        return device

    def _program(self, function, room):
        from .._networks.captured import Captured

        try:
            with full_float32():
                return Captured(function, room, self._device)
        except RuntimeError as error:  # torch's class for all that CUDA reports
            text = " ".join(str(error).split())[:200]
            raise DeviceError(f"device {self._device}: torch could not capture the network: {text}") from None


class _Pool:
    """Programs that do the same, each for one call at a time."""

    def __init__(self, programs):
        self._idle: queue.SimpleQueue = queue.SimpleQueue()
        for program in programs:
            self._idle.put(program)

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        program = self._idle.get()
        try:
            return program(inputs)
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


class _Sampler:
    """Random inputs, the network and whole numbers: what one call of a program does for one batch of samples."""

    def __init__(self, network, drawn: list, count: int, finish):
        self._network, self._drawn, self._count, self._finish = network, drawn, count, finish

    def __call__(self, inputs: dict) -> dict:
        inputs = dict(inputs)
        seed, start = inputs.pop("seed"), inputs.pop("start")
        for drawn in self._drawn:
            inputs |= self._numbers(drawn, seed, start)
        return self._finish(self._network.run(inputs))

    def _numbers(self, drawn, seed, start) -> dict:
        from .._networks import philox

        sizes = [math.prod(shape) for shape in drawn.shapes.values()]
        where = (seed, start, self._count, sum(sizes), drawn.stream)
        values = philox.normal(*where) if drawn.kind == "normal" else philox.uniform(*where, drawn.low, drawn.high)
        parts = zip(drawn.shapes.items(), values.split(sizes, 1), strict=True)
        return {name: part.reshape(self._count, *shape) for (name, shape), part in parts}


class _Microvolts:
    """``signal * scale``, cut toward zero."""

    def __init__(self, scale: float):
        self._scale = scale

    def __call__(self, outputs: dict) -> dict:
        torch, signal = _torch(), outputs["signal"]
        return {"samples": (signal * self._scale).to(torch.int16), "finite": torch.isfinite(signal).all()}


class _GreyLevels:
    """``image * scale + offset``, held to 0..255, cut down and channels last."""

    def __init__(self, scale: float, offset: float):
        self._scale, self._offset = scale, offset

    def __call__(self, outputs: dict) -> dict:
        torch, image = _torch(), outputs["image"]
        levels = (image * self._scale + self._offset).clamp(0, 255).to(torch.uint8)
        return {"samples": levels.permute(0, 2, 3, 1).contiguous(), "finite": torch.isfinite(image).all()}


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


def _wrapped(number: int) -> np.ndarray:
    """An unsigned 64-bit number as torch, which has none, holds it."""
    return np.array(number % (1 << 64), np.uint64).view(np.int64)


def _lucid_size(model) -> int | None:
    """Side of the images of stylegan2-pytorch's networks; None of signals."""
    if model.family != "lucid":
        return None
    generator = model.settings["generator"]
    return 2 << len({name.split(".")[1] for name in generator if name.startswith("blocks.")})

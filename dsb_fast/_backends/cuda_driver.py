"""NVIDIA's driver: which GPUs there are, and copies to pinned memory beside what a GPU computes.

libcuda.so comes with the driver and has the same interface under every version of CUDA; it is asked through ctypes, so
that nothing is linked against it.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np

_MAJOR, _MINOR = 75, 76  # attributes of a device: its compute capability
_PORTABLE = 1  # pinned memory that every context knows
_NON_BLOCKING = 1  # a stream that waits for no other
_MOST_BUFFERS = 16  # pinned at once: memory that is pinned can't be swapped


class Gpu(NamedTuple):
    """Name as the driver has it, compute capability such as "9.0", bytes of memory."""

    name: str
    capability: str
    memory: int


class DriverError(Exception):
    """The driver refused; backends then do without."""


class Driver:
    """libcuda's functions that are used here. Raises DriverError where there is none."""

    def __init__(self, name: str = "libcuda.so.1"):
        try:
            self._library = ctypes.CDLL(name)
        except OSError as error:
            raise DriverError(str(error)) from None
        self._call("cuInit", 0)

    def _call(self, name: str, *arguments) -> None:
        try:
            status = getattr(self._library, name)(*arguments)
        except AttributeError:
            raise DriverError(f"{name} is not there") from None
        if status:
            raise DriverError(f"{name} says {status}")

    def _number(self, name: str, *arguments, kind=ctypes.c_int) -> int:
        value = kind()
        self._call(name, ctypes.byref(value), *arguments)
        return value.value or 0

    def gpus(self) -> tuple[Gpu, ...]:
        """All that this process may see, in the order of their numbers."""
        return tuple(map(self._gpu, range(self._number("cuDeviceGetCount"))))

    def _gpu(self, number: int) -> Gpu:
        device = self._number("cuDeviceGet", number)
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, len(name), device)
        major, minor = (self._number("cuDeviceGetAttribute", what, device) for what in (_MAJOR, _MINOR))
        memory = self._number("cuDeviceTotalMem_v2", device, kind=ctypes.c_size_t)
        return Gpu(name.value.decode("utf-8", "replace"), f"{major}.{minor}", memory)

    def context(self, number: int) -> int:
        """The context of a GPU that all libraries of a process share."""
        device = self._number("cuDeviceGet", number)
        return self._number("cuDevicePrimaryCtxRetain", device, kind=ctypes.c_void_p)

    @contextmanager
    def within(self, context: int):
        """It is the calling thread's meanwhile; then the one that was, whose GPU other libraries take as current."""
        self._call("cuCtxPushCurrent_v2", ctypes.c_void_p(context))
        try:
            yield
        finally:
            self._number("cuCtxPopCurrent_v2", kind=ctypes.c_void_p)

    def stream(self) -> int:
        return self._number("cuStreamCreate", _NON_BLOCKING, kind=ctypes.c_void_p)

    def pinned(self, nbytes: int) -> int:
        """Address of that much pinned memory."""
        value = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(value), ctypes.c_size_t(nbytes), _PORTABLE)
        return value.value or 0

    def copy(self, to: int, source: int, nbytes: int, stream: int) -> None:
        """From the device to the host; returns when it is there."""
        how = ctypes.c_void_p(to), ctypes.c_uint64(source), ctypes.c_size_t(nbytes), ctypes.c_void_p(stream)
        self._call("cuMemcpyDtoHAsync_v2", *how)
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))


@cache
def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine, none where the driver does not tell."""
    try:
        return Driver().gpus()
    except DriverError:
        return ()


class PinnedCopies:
    """Arrays in pinned memory, copied from one GPU on a stream of its own. Safe to call from several threads.

    An array's memory is used again when nothing refers to it any more. Raises DriverError where the driver refuses.
    """

    def __init__(self, driver: Driver, number: int):
        self._driver, self._context = driver, driver.context(number)
        with driver.within(self._context):
            self._stream, self._copying = driver.stream(), threading.Lock()
        self._free: list[tuple[int, int]] = []  # bytes and address
        self._made, self._counting = 0, threading.Lock()

    def taken(self, source: int, shape: tuple[int, ...], kind) -> np.ndarray | None:
        """A copy of what lies on the device at ``source``; None if too many such arrays are in use."""
        empty = np.empty(0, kind)
        nbytes = int(np.prod(shape)) * empty.itemsize
        if not nbytes:
            return np.empty(shape, kind)
        with self._driver.within(self._context):
            if (memory := self._memory(nbytes)) is None:
                return None
            with self._copying:
                self._driver.copy(memory.address, source, nbytes, self._stream)
        return np.asarray(memory)[:nbytes].view(empty.dtype).reshape(shape)

    def _memory(self, nbytes: int) -> _Memory | None:
        with self._counting:
            fitting = [piece for piece in self._free if piece[0] >= nbytes]
            if fitting:
                self._free.remove(piece := min(fitting))
                return _Memory(self, *piece)
            if self._made >= _MOST_BUFFERS:
                return None
            self._made += 1
        return _Memory(self, nbytes, self._driver.pinned(nbytes))

    def give_back(self, nbytes: int, address: int) -> None:
        self._free.append((nbytes, address))  # of one step: may be called by whatever thread drops an array


class _Memory:
    """What an array refers to as long as it is in use."""

    def __init__(self, pool: PinnedCopies, nbytes: int, address: int):
        self._pool, self._nbytes, self.address = pool, nbytes, address
        self.__array_interface__ = {"shape": (nbytes,), "typestr": "|u1", "data": (address, False), "version": 3}

    def __del__(self):
        self._pool.give_back(self._nbytes, self.address)

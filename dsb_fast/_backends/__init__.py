"""Where a graph runs. One list, best first; ``device="auto"`` takes the first that is there and may be picked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from .._errors import DeviceError
from .base import Backend, Device
from .onnx_runtime import CudaBackend, OnnxRuntimeCpuBackend
from .openvino import OpenVinoBackend

BACKENDS: tuple[type[Backend], ...] = (CudaBackend, OnnxRuntimeCpuBackend, OpenVinoBackend)
PRECISIONS = ("fp32", "fp16", "bf16")


def open_first(graph_of: Callable[[str], bytes | str], device: str, precision: str, flavour_of) -> Opened:
    """The best of ``device``'s backends that starts, on the flavour of graph that it prefers.

    ``graph_of(flavour)`` gives a graph; ``flavour_of(preferred)`` says which flavour the model gives a backend. A
    backend that ``auto`` would have preferred and that does not start is reported as a warning of logger dsb_fast.
    """
    able = candidates(device, precision)
    for kind, number in able:
        flavour = flavour_of(kind.flavours()[0])
        try:
            if flavour not in kind.flavours():
                raise DeviceError(f"device {kind.device}: it can't run a {flavour} graph here; a portable one works")
            backend = kind(graph_of(flavour), precision, number, flavour)
        except DeviceError as error:
            if kind is able[-1][0]:
                raise
            logging.getLogger("dsb_fast").warning("%s; going on with %s", error, able[-1][0].device)
            continue
        return Opened(backend, flavour, lambda graph, k=kind, n=number, f=flavour: k(graph, precision, n, f))
    raise AssertionError("candidates is never empty")


class Opened(NamedTuple):
    """A backend that runs, the flavour of its graph, and how to open another graph of that flavour on the same."""

    backend: Backend
    flavour: str
    again: Callable[[bytes | str], Backend]


def devices() -> list[Device]:
    """Every device this version knows, best first, with whether it is there and, if not, why."""
    return [backend.probe() for backend in BACKENDS]


def candidates(device: str, precision: str) -> list[tuple[type[Backend], str]]:
    """Backend classes for ``device``, best first, each with the device's own number or ''. Raises DeviceError."""
    if precision not in PRECISIONS:
        raise DeviceError(f"precision: '{precision}' is not known; there are {', '.join(PRECISIONS)}")
    if not isinstance(device, str):
        raise DeviceError(
            f"device: {device!r} is not a device name; there are auto, {', '.join(b.device for b in BACKENDS)}"
        )
    if device == "auto":
        able = [b for b in BACKENDS if b.auto and precision in b.precisions and b.probe().available]
        if able:
            return [(backend, "") for backend in able]
        reasons = "; ".join(f"{d.device}: {d.reason}" for d in devices() if d.reason)
        raise DeviceError(f"device auto: nothing can run {precision} here ({reasons})")
    name, _, number = device.partition(":")
    for backend in BACKENDS:
        if backend.device != name:
            continue
        if number and not (number.isdecimal() and backend.numbered):
            raise DeviceError(f"device: '{device}' is not a device; try '{name}'")
        found = backend.probe()
        if not found.available:
            raise DeviceError(f"device {device}: {found.reason}")
        if precision not in backend.precisions:
            raise DeviceError(f"precision {precision}: device {name} runs {', '.join(backend.precisions)}")
        return [(backend, number)]
    raise DeviceError(f"device: '{device}' is not known; there are auto, {', '.join(b.device for b in BACKENDS)}")

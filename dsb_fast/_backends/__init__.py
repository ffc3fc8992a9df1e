"""Where a graph runs. One list, best first; ``device="auto"`` takes the first that is there and may be picked."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._errors import DeviceError
from .base import Backend, Device
from .onnx_runtime import CudaBackend, OnnxRuntimeCpuBackend
from .openvino import OpenVinoBackend

BACKENDS: tuple[type[Backend], ...] = (CudaBackend, OnnxRuntimeCpuBackend, OpenVinoBackend)
PRECISIONS = ("fp32", "fp16", "bf16")


def open_first(graph: bytes | str, device: str, precision: str) -> tuple[Backend, Callable[[bytes | str], Backend]]:
    """``graph`` on the best of ``device``'s backends that starts, and how to open another graph on the same.

    A backend that ``auto`` would have preferred and that does not start is reported as a warning of logger dsb_fast.
    """
    able = candidates(device, precision)
    for kind, number in able:
        try:
            return kind(graph, precision, number), lambda other: kind(other, precision, number)  # noqa: B023
        except DeviceError as error:
            if kind is able[-1][0]:
                raise
            logging.getLogger("dsb_fast").warning("%s; going on with %s", error, able[-1][0].device)
    raise AssertionError("candidates is never empty")


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

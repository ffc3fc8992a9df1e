"""Where a graph runs. One list, best first; ``device="auto"`` takes the first that is there and may be picked."""

from __future__ import annotations

from .._errors import DeviceError
from .base import Backend, Device
from .onnx_runtime import CudaBackend, OnnxRuntimeCpuBackend
from .openvino import OpenVinoBackend

BACKENDS: tuple[type[Backend], ...] = (CudaBackend, OnnxRuntimeCpuBackend, OpenVinoBackend)
PRECISIONS = ("fp32", "fp16", "bf16")


def devices() -> list[Device]:
    """Every device this version knows, best first, with whether it is there and, if not, why."""
    return [backend.probe() for backend in BACKENDS]


def choose(device: str, precision: str) -> tuple[type[Backend], str]:
    """The backend class for ``device`` and the device's own number or ''. Raises DeviceError."""
    if precision not in PRECISIONS:
        raise DeviceError(f"precision: '{precision}' is not known; there are {', '.join(PRECISIONS)}")
    if not isinstance(device, str):
        raise DeviceError(
            f"device: {device!r} is not a device name; there are auto, {', '.join(b.device for b in BACKENDS)}"
        )
    if device == "auto":
        for backend in BACKENDS:
            if backend.auto and precision in backend.precisions and backend.probe().available:
                return backend, ""
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
        return backend, number
    raise DeviceError(f"device: '{device}' is not known; there are auto, {', '.join(b.device for b in BACKENDS)}")

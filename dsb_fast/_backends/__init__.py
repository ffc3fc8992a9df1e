"""Where a graph runs. One list, best first; ``device="auto"`` takes the first that is there and may be picked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from .._errors import DeviceError
from .._models.on_device import WholeNumbers
from .base import Backend, Device
from .cuda import CudaBackend
from .native import NativeBackend
from .onnx_runtime import OnnxRuntimeCpuBackend
from .openvino import OpenVinoBackend
from .pytorch import TorchCpuBackend, TorchCudaBackend
from .tensorrt import TensorRtBackend

BACKENDS: tuple[type[Backend], ...] = (
    CudaBackend, NativeBackend, OnnxRuntimeCpuBackend, TensorRtBackend, OpenVinoBackend,
)  # fmt: skip
ASKED: tuple[type[Backend], ...] = (TorchCudaBackend, TorchCpuBackend)  # for by name, never picked
ENGINES = ("auto", *dict.fromkeys(backend.engine for backend in (*BACKENDS, *ASKED)))
PRECISIONS = ("fp32", "fp16", "bf16")


class Opened(NamedTuple):
    """A backend that runs, the digest of what it computes, and how to get it for another of the source's graphs.

    ``others`` are those that were opened with it, by key.
    """

    backend: Backend
    sha256: str
    at: Callable[[object], Backend]
    others: dict[object, Backend]


def open_first(source, key, device: str, precision: str, plan: str | None = None, engine: str = "auto") -> Opened:
    """The best of ``device``'s backends that can take what ``source`` has and that starts.

    ``key`` names one of the source's graphs: the length of an ECG network's signals, the part of an image network, and
    ``plan`` one of the ways in which the source's graphs can be computed in ``precision``, None its first; ``engine``
    is whose backends are meant. A backend that ``auto`` would have preferred and that does not start is reported as a
    warning of logger dsb_fast.
    """
    able = [(kind, number) for kind, number in candidates(device, precision, engine) if kind.takes in source.offers]
    if not able and engine != "auto":
        raise DeviceError(f"backend {engine}: it can't run {source.path}; backend auto takes one that can")
    if precision not in source.plans:
        able = [(kind, number) for kind, number in able if kind.rounds and "fp32" in source.plans]
        if not able:
            raise DeviceError(f"precision {precision}: {source.path} runs in {', '.join(source.plans)}")
    _warn_of_stand_in(device, able)
    routes = [(kind, number, flavour) for kind, number in able for flavour in _flavours(kind, precision, source)]
    for kind, number, flavour in routes:

        def open_it(wanted, kind=kind, number=number, flavour=flavour):
            if flavour is None:
                raise DeviceError(_cant(kind, precision, source))
            if kind.takes != "graph":
                model = source.packed() if kind.takes == "network" else source.description(wanted)
                return kind(model, precision, number, flavour), model.sha256
            graph = source.graph(wanted, flavour, _plan(kind, source, precision, plan))
            return kind(graph.model, precision, number, flavour), graph.sha256

        try:
            backend, sha256 = open_it(key)
            # What samples are made with is to fail now, while another device can do its work.
            others = {WholeNumbers(key): open_it(WholeNumbers(key))[0]} if backend.draws else {}
        except DeviceError as error:
            if (kind, number, flavour) == routes[-1]:
                raise
            after, _, then = routes[routes.index((kind, number, flavour)) + 1]
            going_on = f"its {then} graph" if after is kind else after.device
            logging.getLogger("dsb_fast").warning("%s; going on with %s", error, going_on)
            continue
        if kind.takes == "network":  # made for any length
            return Opened(backend, sha256, lambda _, b=backend: b, {})
        return Opened(backend, sha256, lambda wanted, f=open_it: f(wanted)[0], others)
    raise DeviceError(f"device {device}: nothing here can run it; pip install 'dsb-fast[cpu]' brings ONNX Runtime")


def _flavours(kind: type[Backend], precision: str, source) -> tuple[str | None, ...]:
    """Which of the source's graphs ``kind`` is to try, the best first; None for none that it can run."""
    known = kind.flavours(precision)
    if kind.takes == "description":
        return known
    if not known or source.flavour(known) not in known:
        return (None,)
    best = source.flavour(known)
    second = "portable" if best == "cuda" and _plan(kind, source, precision, None) == "fp32" else None
    return (best, second) if second else (best,)


def _cant(kind: type[Backend], precision: str, source) -> str:
    """Why ``kind`` runs none of the source's graphs."""
    if not (known := kind.flavours(precision)):
        return (
            f"precision {precision}: device {kind.device} needs the compiled operators for it, which are not built "
            "here; fp32 works"
        )
    flavour = source.flavour(known)
    what = f"a {flavour} graph" if precision == "fp32" else f"a {flavour} graph in {precision}"
    return f"device {kind.device}: it can't run {what} here; a {known[-1]} one works"


def _plan(kind: type[Backend], source, precision: str, plan: str | None) -> str:
    """How the graph that ``kind`` gets is computed."""
    return "fp32" if kind.rounds and "fp32" in source.plans else plan or source.plans[precision][0]


def _warn_of_stand_in(device: str, able: list) -> None:
    """Say it where the device that was asked for is not there and another does its work."""
    name = device.partition(":")[0]
    asked = [backend for backend in BACKENDS if backend.device == name and backend.stand_in]
    if asked and able and able[0][0].device != name:
        reason = asked[0].probe().reason
        logging.getLogger("dsb_fast").warning("device %s: %s; going on with %s", device, reason, able[0][0].device)


def devices() -> list[Device]:
    """Every device this version knows, best first, with whether it is there and, if not, why."""
    rows: dict[str, list[Device]] = {}
    for backend in BACKENDS:
        rows.setdefault(backend.device, []).append(backend.probe())
    return [_joined(found) for found in rows.values()]


def _joined(found: list[Device]) -> Device:
    """One row for the backends of a device."""
    able = [row for row in found if row.available]
    if not able:
        return found[-1]
    return replace(able[0], detail="; ".join(row.detail for row in able))


def candidates(device: str, precision: str, engine: str = "auto") -> list[tuple[type[Backend], str]]:
    """Backend classes for ``device``, best first, each with the device's own number or ''. Raises DeviceError."""
    if precision not in PRECISIONS:
        raise DeviceError(f"precision: '{precision}' is not known; there are {', '.join(PRECISIONS)}")
    if engine not in ENGINES:
        raise DeviceError(f"backend: {engine!r} is not known; there are {', '.join(ENGINES)}")
    if not isinstance(device, str):
        raise DeviceError(f"device: {device!r} is not a device name; there are auto, {', '.join(_names())}")
    if engine != "auto":
        return _of_engine(device, precision, engine)
    if device == "auto":
        able = [b for b in BACKENDS if b.auto and precision in b.precisions and b.probe().available]
        if able:
            return [(backend, "") for backend in able]
        reasons = "; ".join(f"{d.device}: {d.reason}" for d in devices() if d.reason)
        raise DeviceError(f"device auto: nothing can run {precision} here ({reasons})")
    name, _, number = device.partition(":")
    kinds = [backend for backend in BACKENDS if backend.device == name]
    if not kinds:
        raise DeviceError(f"device: '{device}' is not known; there are auto, {', '.join(_names())}")
    if number and not (number.isdecimal() and kinds[0].numbered):
        raise DeviceError(f"device: '{device}' is not a device; try '{name}'")
    stand_ins = [backend for backend in BACKENDS if backend.device == kinds[0].stand_in]
    here = [backend for backend in (*kinds, *stand_ins) if backend.probe().available]
    if not here:
        raise DeviceError(f"device {device}: {kinds[-1].probe().reason}")
    able = [backend for backend in here if precision in backend.precisions]
    if not able:
        raise DeviceError(f"precision {precision}: device {name} runs {', '.join(here[0].precisions)}")
    return [(backend, number) for backend in able]


def _of_engine(device: str, precision: str, engine: str) -> list[tuple[type[Backend], str]]:
    """:func:`candidates` of one engine, whose backends are all taken for device "auto", too."""
    name, _, number = device.partition(":")
    own = [kind for kind in (*BACKENDS, *ASKED) if kind.engine == engine]
    kinds = [kind for kind in own if name in ("auto", kind.device) and (not number or kind.numbered)]
    if not kinds or (number and not number.isdecimal()):
        names = ", ".join(dict.fromkeys(kind.device for kind in own))
        raise DeviceError(f"backend {engine}: it has no device '{device}'; there are auto, {names}")
    stand_ins = [kind for kind in own if kind not in kinds and kind.device == kinds[0].stand_in]
    rows = {kind: kind.probe() for kind in (*kinds, *stand_ins)}
    here = [kind for kind, row in rows.items() if row.available]
    if not here:
        raise DeviceError(f"backend {engine}: {rows[kinds[-1]].reason}")
    able = [kind for kind in here if precision in kind.precisions]
    if not able:
        raise DeviceError(f"precision {precision}: backend {engine} runs {', '.join(here[0].precisions)}")
    return [(kind, number) for kind in able]


def _names() -> list[str]:
    return list(dict.fromkeys(backend.device for backend in BACKENDS))

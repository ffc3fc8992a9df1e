"""What every backend offers."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Device:
    """A row of ``dsb_fast.devices()``: ``reason`` says why it is not available, or why auto does not take it."""

    device: str
    available: bool
    auto: bool
    detail: str
    reason: str = ""


class Backend(ABC):
    """A graph or a network made ready to run. ``run`` may be called from several threads at once."""

    device: ClassVar[str]
    engine: ClassVar[str]  # whose runtime it is, what load's ``backend`` names
    auto: ClassVar[bool]
    numbered: ClassVar[bool] = False
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    takes: ClassVar[str] = "graph"  # what it is opened with: an ONNX "graph", a packed "network", or a "description"
    rounds: ClassVar[bool] = False  # it makes lower precisions of float32 graphs by itself
    stand_in: ClassVar[str] = ""  # the device that does its work, with a warning, where it can't
    fixed_batch: ClassVar[bool] = False  # a call costs what batch_size samples cost, however few are asked for
    divides: ClassVar[bool] = False  # a call can be shared out to several threads
    draws: bool = False  # it has ``sample``: random numbers and whole numbers are made where the network runs

    @classmethod
    def flavours(cls, precision: str = "fp32") -> tuple[str, ...]:
        """The flavours of graph that it runs here in ``precision``, the preferred one first; none if it can't."""
        return ("portable",) if precision in cls.precisions else ()

    name: str  # what info and manifests call it
    grade: str  # exact, repeatable or near
    depends_on: dict[str, str]  # what the grade depends on
    flavour: str = "portable"  # of the graph that runs
    note: str = ""  # what a user should know of how it runs here
    parallel: int  # calls of run that are worth making at once
    batch_size: int  # samples a call at which the speed is best

    @classmethod
    @abstractmethod
    def probe(cls) -> Device:
        """Whether this machine has it; cheap, imports no more than it must."""

    @abstractmethod
    def __init__(self, model, precision: str, number: str, flavour: str = "portable"):
        """Make ``model`` ready: a serialised ONNX model, the path of one, or a packed network. Raises DeviceError."""

    @abstractmethod
    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The graph's outputs by name. Releases the interpreter lock while it works."""

"""torch.cuda's streams and graphs on the CPU: a graph is what was recorded, run again on the tensors that it had."""

from __future__ import annotations

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Graph:
    """As torch.cuda.CUDAGraph: ``replay`` writes where the capture wrote; what Python decided stays as it was."""

    captured, replays = 0, 0

    def __init__(self):
        self.steps: list[tuple] = []

    def replay(self) -> None:
        Graph.replays += 1
        for operator, args, kwargs, made in self.steps:
            again = operator(*args, **kwargs)
            for old, new in zip(_tensors(made), _tensors(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _tensors(made) -> list[torch.Tensor]:
    return [t for t in (made if isinstance(made, (tuple, list)) else [made]) if isinstance(t, torch.Tensor)]


class _Recorder(TorchDispatchMode):
    def __init__(self, graph: Graph):
        super().__init__()
        self.graph = graph

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.graph.steps.append((func, args, kwargs or {}, made))
        return made


@contextlib.contextmanager
def capture(graph: Graph, stream=None, capture_error_mode: str = "global"):
    """As torch.cuda.graph."""
    assert capture_error_mode == "thread_local"  # other threads go on meanwhile
    Graph.captured += 1
    with _Recorder(graph):
        yield


class Stream:
    """As torch.cuda.Stream."""

    def __init__(self, device=None):
        self.device = device

    def synchronize(self) -> None:
        """Nothing is under way."""


def stand_in(monkeypatch) -> None:
    """Put these in the place of torch.cuda's for a test."""
    empty_like = torch.empty_like
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self.clone())
    monkeypatch.setattr(torch, "empty_like", lambda x, pin_memory=False, **how: empty_like(x, **how))

"""A function of tensors of fixed shapes as a CUDA graph, with buffers on the device and page-locked ones here."""

from __future__ import annotations

import contextlib
import logging
import threading

import numpy as np
import torch

_WARM_UPS = 3  # cuDNN chooses, workspaces are made and filters fetched before the capture
_CAPTURING = threading.Lock()


class Captured:
    """Called with numpy arrays of the shapes of ``room``, gives numpy arrays of its own. One call at a time.

    A function that can't be captured is called each time instead, with a warning of logger dsb_fast. ``before``, if
    given, is called with the tensors on the device and the call's arrays, and may write into the tensors.
    """

    def __init__(self, function, room: dict[str, np.ndarray], device: torch.device, before=None):
        self._before = before
        self._function, self._device, self._stream = function, device, torch.cuda.Stream(device)
        with _CAPTURING, self._here():
            self._host = {name: torch.from_numpy(np.array(array)).pin_memory() for name, array in room.items()}
            self._inputs = {name: array.to(device) for name, array in self._host.items()}
            for _ in range(_WARM_UPS):
                self._outputs = function(self._inputs)
            self._stream.synchronize()
            self._graph = self._captured()
            made = self._outputs.items()
            self._results = {name: torch.empty_like(tensor, device="cpu", pin_memory=True) for name, tensor in made}

    @contextlib.contextmanager
    def _here(self):
        """On the program's own device and stream."""
        with torch.inference_mode(), torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            yield

    def _captured(self) -> torch.cuda.CUDAGraph | None:
        graph, outputs = torch.cuda.CUDAGraph(), self._outputs
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._outputs = self._function(self._inputs)
        except Exception as error:  # torch's and our own operators' classes for what CUDA reports
            text = " ".join(str(error).split())[:200]
            logging.getLogger("dsb_fast").warning("device %s: no CUDA graph, slower without: %s", self._device, text)
            self._outputs = outputs
            return None
        return graph

    def replay(self) -> None:
        """The function once more on the inputs that are there, on the calling thread's stream."""
        if self._graph is None:
            self._outputs = self._function(self._inputs)
        else:
            self._graph.replay()

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._here():
            for name, array in inputs.items():
                self._host[name].numpy()[...] = array
                self._inputs[name].copy_(self._host[name], non_blocking=True)
            if self._before is not None:
                self._before(self._inputs, inputs)
            self.replay()
            for name, made in self._outputs.items():
                self._results[name].copy_(made, non_blocking=True)
            self._stream.synchronize()  # while it waits other threads run
        return {name: np.array(made.numpy()) for name, made in self._results.items()}

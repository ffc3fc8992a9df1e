"""A function of tensors of fixed shapes as a CUDA graph, with buffers on the device and page-locked ones here."""

from __future__ import annotations

import threading

import numpy as np
import torch

_WARM_UPS = 3  # cuDNN chooses and workspaces are made before the capture
_CAPTURING = threading.Lock()


class Captured:
    """Called with numpy arrays of the shapes of ``room``, gives numpy arrays of its own. One call at a time."""

    def __init__(self, function, room: dict[str, np.ndarray], device: torch.device):
        self._stream, self._graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()
        with _CAPTURING, torch.inference_mode(), torch.cuda.device(device), torch.cuda.stream(self._stream):
            self._host = {name: torch.from_numpy(np.array(array)).pin_memory() for name, array in room.items()}
            self._inputs = {name: array.to(device) for name, array in self._host.items()}
            for _ in range(_WARM_UPS):
                function(self._inputs)
            self._stream.synchronize()
            with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                self._outputs = function(self._inputs)
            made = self._outputs.items()
            self._results = {name: torch.empty_like(tensor, device="cpu", pin_memory=True) for name, tensor in made}
        self._device = device

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode(), torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            for name, array in inputs.items():
                self._host[name].numpy()[...] = array
                self._inputs[name].copy_(self._host[name], non_blocking=True)
            self._graph.replay()
            for name, made in self._outputs.items():
                self._results[name].copy_(made, non_blocking=True)
            self._stream.synchronize()  # while it waits other threads run
        return {name: np.array(made.numpy()) for name, made in self._results.items()}

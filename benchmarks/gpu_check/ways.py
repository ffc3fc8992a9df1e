"""Ways to make a case's samples: dsb_fast's torch backend in three precisions, ONNX Runtime, the CPU, the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

COMPILED = "original, torch.compile"


@dataclass
class Way:
    """``open(batch)`` gives a function that makes ``count`` samples; ``samples(count)`` gives some to be compared."""

    name: str
    precision: str
    batches: tuple[int, ...]
    open: Callable[[int], Callable[[int], object]]
    samples: Callable[[int, int], np.ndarray] | None = None


def own(case, precision: str, device: str) -> Way:
    """The torch backend: numbers drawn on the device, network, whole numbers, copied to the host, two in flight."""
    opened: dict = {}

    def maker(batch: int):
        if batch not in opened:
            opened.clear()  # the memory of one at a time
            opened[batch] = _Maker(case, precision, device, batch)
        return opened[batch]

    def samples(first: int, count: int) -> np.ndarray:
        return maker(case.batches[-1]).samples(first, count)

    return Way(f"dsb_fast torch {precision}", precision, case.batches, lambda batch: maker(batch).run, samples)


def backend(case, precision: str, device: str, batch: int):
    """What opens the torch backend of a key of the case's networks."""
    from dsb_fast._backends.pytorch import TorchCpuBackend, TorchCudaBackend

    kind, number = (TorchCpuBackend, "") if device == "cpu" else (TorchCudaBackend, device.partition(":")[2])
    return lambda key: kind(case.describe(key), precision, number, batch_size=batch)


class _Maker:
    """A model's samples by backends of one batch size."""

    def __init__(self, case, precision: str, device: str, batch: int):
        self._kind = backend(case, precision, device, batch)
        self._model, self._options, self._opened, self._batch = case.model, case.model.options(), {}, batch

    def _backend_of(self, key):
        if key not in self._opened:
            self._opened[key] = self._kind(key)
        return self._opened[key]

    def samples(self, first: int, count: int) -> np.ndarray:
        return self._model.samples(self._backend_of, 0, first, count, self._options)

    def run(self, count: int) -> None:
        from dsb_fast._parallel import ordered

        threads = self._backend_of(self._model.key).parallel
        jobs = range(0, count, self._batch)
        for _ in ordered(lambda first: self.samples(first, self._batch), jobs, threads, threads):
            pass


def other(case, found, device: str, dry_run: bool) -> list[Way]:
    """ONNX Runtime on the device where it has a provider for it, and the original in eager torch."""
    ways = []
    if case.generator is not None and not (dry_run and case.name != "ecg"):
        generator = found.attempt(f"{case.name}: ONNX Runtime on {device}", lambda: case.generator(device))
        if generator is not None:
            name = f"dsb_fast {generator.backend.name} {generator.flavour}"
            ways.append(Way(name, "fp32", (generator.batch_size,), lambda _: generator.sample, _from(generator)))
    network = found.attempt(f"{case.name}: original in torch on {device}", lambda: case.original(device))
    if network is not None:
        ways.append(
            Way("original, eager", "fp32", case.own_batches, lambda batch: lambda n: network.generate(n, batch))
        )
    return ways


def _from(generator):
    return lambda first, count: generator.sample(count, start=first)


def compiled(case, device: str) -> Way:
    """The original through torch.compile; minutes go by before its first sample."""
    import torch

    def open_at(batch: int):
        original = case.original(device)
        network = getattr(original, "network", original)
        network.forward = torch.compile(network.forward, mode="max-autotune")
        return lambda count: original.generate(count, batch)

    return Way(COMPILED, "fp32", (case.own_batches[-1],), open_at)


def network_seconds(case, precision: str, device: str, batch: int, repeats: int, how: str = "") -> float:
    """Seconds of the network alone, inputs and outputs on the device: one CUDA graph, replayed.

    ``how``: "channels first", or "compiled" by torch.compile.
    """
    import device_peaks as peaks
    import torch

    from dsb_fast._backends.pytorch import full_float32

    described = case.describe(case.model.key)
    with torch.inference_mode(), full_float32():
        network = _network(described, torch.device(device), getattr(torch, peaks.TYPES[precision]), how)
        run = torch.compile(network.run, mode="max-autotune-no-cudagraphs") if how == "compiled" else network.run
        inputs = _inputs(case, batch)
        if device == "cpu":
            tensors = {name: torch.from_numpy(np.array(array)) for name, array in inputs.items()}
            return peaks.seconds(lambda: run(tensors), device, repeats)
        from dsb_fast._networks.captured import Captured

        program = Captured(run, inputs, torch.device(device))
        program(inputs)  # real numbers: zeros can run faster than they
        return peaks.seconds(program.replay, device, repeats)


def _network(described, device, dtype, how: str):
    """The network, its activations in another order of axes where ``how`` says so."""
    import torch

    from dsb_fast import _networks
    from dsb_fast._networks import layers

    before = layers.ORDER[dtype]
    if how == "channels first":
        layers.ORDER[dtype] = torch.contiguous_format
    try:
        return _networks.network(described, device, dtype)
    finally:
        layers.ORDER[dtype] = before


def _inputs(case, batch: int) -> dict[str, np.ndarray]:
    """The network's inputs of samples 0 to batch - 1 of seed 0."""
    model, options = case.model, case.model.options()
    if hasattr(model, "inputs"):
        return model.inputs(0, 0, batch, options)
    psi = {"truncation_psi": np.array(options.truncation, np.float32)}
    return {"z": model.latents(0, 0, batch, options), **model.still(0, 0, batch, options), **psi}

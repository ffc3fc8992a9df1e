"""ECGs a second: CPU, the CUDA provider at several batch sizes, and the original network in eager torch on the GPU."""

from __future__ import annotations

import fma_probe
from harness import Alternative, Comparison, interleave

BATCHES = (1, 8, 64, 256)
_TARGET_S = 0.5  # of one run
_BASELINE = "original in torch, batch 1"


def _stream(generator, batch: int):
    """Noise, network, copies and int16 microvolts, two batches under way: what a dataset's workers do."""
    options = generator.model.options()

    def run(count):
        for _ in generator.batches(0, 0, count, options, batch, threads=generator.backend.parallel):
            pass

    return run


def _network_only(generator, batch: int):
    """The network and the copies to and from the device, on noise that is there already."""
    noise = generator.model.inputs(0, 0, batch, generator.model.options())

    def run(count):
        for _ in range(0, count, batch):
            generator.backend.run(noise)

    return run


def _candidates(found, batches) -> list[tuple[str, int, object]]:
    rows = []
    if found.torch_network is not None:
        rows.append((_BASELINE, 1, lambda: lambda n: found.torch_network.generate(n, 1, inference_mode=False)))
        rows.append(("original in torch, batch 32", 32, lambda: lambda n: found.torch_network.generate(n, 32)))
    if found.cpu is not None:
        rows.append(("dsb_fast cpu", found.cpu.backend.batch_size, lambda: found.cpu.stream))
    if found.device is not None:
        for what, way in (("dsb_fast", _stream), ("network alone", _network_only)):
            for batch in batches:
                name = f"{what} {found.device_name}, batch {batch}"
                rows.append((name, batch, lambda w=way, b=batch: w(found.device, b)))
    return rows


def _prepared(name: str, batch: int, make, dry_run: bool) -> Alternative:
    """A warm alternative whose run lasts about half a second."""

    def exhaust(count):
        result = run(count)
        for _ in result if hasattr(result, "__iter__") else ():
            pass

    run = make()
    count = 4 * batch
    trial = Alternative(name, lambda: exhaust(count))
    seconds = [trial.seconds() for _ in range(1 if dry_run else 3)][-1]
    if dry_run:
        return Alternative(name, lambda: exhaust(batch), batch)
    batches = max(4, min(2000, round(4 * _TARGET_S / seconds)))
    return Alternative(name, lambda: exhaust(batches * batch), batches * batch)


def measure(found, rounds: int, dry_run: bool) -> dict:
    """Ratios are to the original as its package runs it (batch 1), or to the first row where torch is not here."""
    alternatives = []
    for name, batch, make in _candidates(found, BATCHES[:2] if dry_run else BATCHES):
        prepared = found.attempt(f"timing of {name}", lambda n=name, b=batch, m=make: _prepared(n, b, m, dry_run))
        if prepared is not None:
            alternatives.append(prepared)
    if not alternatives:
        return {}
    comparison = Comparison("ECG/s", alternatives[0].name, alternatives, "see parity", warm=True)
    pause = 0.0 if dry_run else 0.25
    timed = found.attempt("timing", lambda: interleave(comparison, rounds, fma_probe.gflops, pause))
    return {"summary": "noise, network, copies, int16 microvolts", **timed} if timed else {}

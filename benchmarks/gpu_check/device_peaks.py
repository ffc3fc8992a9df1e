"""What the device does at best, measured: a large copy, and large matrix products in each precision."""

from __future__ import annotations

import time

_IN_A_ROW = 10  # runs that are timed together
TYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def seconds(run, device: str, repeats: int) -> float:
    """Median seconds of a run: by events on a GPU, by the clock elsewhere. Warmed up twice."""
    import torch

    for _ in range(2):
        run()
    found = []
    for _ in range(repeats):
        if device == "cpu":
            begin = time.perf_counter()
            run()
            found.append(time.perf_counter() - begin)
            continue
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end) / 1e3)
    return sorted(found)[len(found) // 2]


def kernel_seconds(run, device: str, repeats: int) -> float:
    """Median seconds of a run among runs like it: on a GPU in a CUDA graph, without what Python costs between them.

    Where the run can't be captured, as :func:`seconds` of ten runs one after the other.
    """
    import torch

    if device == "cpu":
        return seconds(run, device, repeats)
    stream, graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()

    def runs():
        for _ in range(_IN_A_ROW):
            run()

    with torch.cuda.stream(stream):
        run()
        stream.synchronize()
        try:
            with torch.cuda.graph(graph, stream=stream):
                runs()
        except Exception:  # torch's and our own operators' classes for what CUDA reports
            return seconds(runs, device, repeats) / _IN_A_ROW
        return seconds(graph.replay, device, repeats) / _IN_A_ROW


def _copy(values: int, device: str):
    import torch

    source = torch.randn(values, device=device)
    to = torch.empty_like(source)
    return lambda: to.copy_(source)


def measure(device: str, dry_run: bool) -> dict[str, float]:
    """``copy`` bytes a second, read and written, and FLOP a second of ``fp32`` (no TF32), ``fp16`` and ``bf16``."""
    import torch

    from dsb_fast._backends.pytorch import full_float32

    values, side, repeats = (1 << 18, 128, 2) if dry_run else (1 << 29, 8192, 11)
    peaks = {"copy": 8.0 * values / seconds(_copy(values, device), device, repeats)}
    with full_float32():
        for precision, name in TYPES.items():
            a, b = (torch.randn(side, side, device=device).to(getattr(torch, name)) for _ in range(2))
            peaks[precision] = 2.0 * side**3 / seconds(lambda a=a, b=b: a @ b, device, repeats)
    return peaks

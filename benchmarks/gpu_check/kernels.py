"""Kernels alone: parity with float64 on the CPU, and bytes a second as a share of a copy's."""

from __future__ import annotations

import device_peaks as peaks
import numpy as np

_BOUND = {"fp32": 1e-5, "fp16": 2e-3, "bf16": 1e-2}  # of the largest value


def measure(found, peak: dict, clock, args) -> list[dict]:
    """One row a kernel and precision; those that can't be had are named in ``found.missing``."""
    device = "cpu" if args.dry_run else args.device
    rows = []
    for name, make in _KERNELS.items():
        for precision in ("fp32", "fp16", "bf16") if name != "philox" else ("fp32",):
            what = f"kernel {name} {precision}"
            if clock.is_out():
                found.missing[what] = "the time was out; --minutes gives more"
                continue

            def timed(make=make, precision=precision):
                return make(device, precision, args.dry_run)

            row = found.attempt(what, lambda run=timed: clock.limited(run))
            if row is not None:
                share = row["bytes"] / row["seconds"] / peak["copy"] if peak else None
                rows.append({"name": name, "precision": precision, **row, "copy_share": share})
    return rows


def _tensor(shape, device: str, precision: str):
    import torch

    generator = torch.Generator(device).manual_seed(5)
    kind = getattr(torch, peaks.TYPES[precision])
    return torch.randn(*shape, device=device, generator=generator).to(kind)


def _row(run, exact: np.ndarray, made, moved: int, device: str, precision: str, dry_run: bool) -> dict:
    error = float(np.abs(made.double().cpu().numpy() - exact).max() / np.abs(exact).max())
    seconds = peaks.kernel_seconds(run, device, 3 if dry_run else 21)
    return {"error": error, "holds": error <= _BOUND[precision], "bytes": moved, "seconds": seconds}


def _upfirdn2d(device: str, precision: str, dry_run: bool) -> dict:
    """The filter behind an enlarging layer of 256 x 256: four taps an axis, once, on channels-last activations."""
    import torch

    from dsb_fast import ops

    shape = (1, 3, 16, 16) if dry_run else (16, 64, 256, 256)
    x = _tensor(shape, device, precision).to(memory_format=torch.channels_last)
    taps = ops.setup_filter([1, 3, 3, 1])

    def run(value=x, impl="auto"):
        return ops.upfirdn2d(value, taps, padding=[2, 1, 2, 1], gain=4.0, impl=impl)

    few = x[:1].cpu().double()
    return _row(
        run, run(few, "torch").numpy(), run(x)[:1], 2 * x.numel() * x.element_size(), device, precision, dry_run
    )


def _bias_act(device: str, precision: str, dry_run: bool) -> dict:
    """Bias, leaky ReLU, gain and clamp of a 256 x 256 layer."""
    from dsb_fast import ops

    x = _tensor((1, 3, 16, 16) if dry_run else (16, 64, 256, 256), device, precision)
    bias = _tensor((x.shape[1],), device, "fp32")

    def run(value=x, b=bias, impl="auto"):
        return ops.bias_act(value, b, act="lrelu", clamp=256.0, impl=impl)

    exact = run(x[:1].cpu().double(), bias.cpu().double(), "torch").numpy()
    return _row(run, exact, run(x)[:1], 2 * x.numel() * x.element_size(), device, precision, dry_run)


def _modulated_conv2d(device: str, precision: str, dry_run: bool) -> dict:
    """A 3 x 3 layer with its epilogue; its bytes are input and output once."""
    import torch

    from dsb_fast import ops

    channels, side = (8, 16) if dry_run else (64, 256)
    x = _tensor((2 if dry_run else 16, channels, side, side), device, precision).to(memory_format=torch.channels_last)
    weight, styles = _tensor((channels, channels, 3, 3), device, precision), _tensor((len(x), channels), device, "fp32")

    def run(value=x, w=weight, s=styles, impl="auto"):
        return ops.modulated_conv2d(value, w, s, padding=1, act="lrelu", impl=impl)

    exact = run(x[:1].cpu().double(), weight.cpu().double(), styles[:1].cpu().double(), "torch").numpy()
    return _row(run, exact, run(x)[:1], 2 * x.numel() * x.element_size(), device, precision, dry_run)


def _philox(device: str, precision: str, dry_run: bool) -> dict:
    """Uniform numbers, whose bits must be the CPU's; bytes are those written."""
    from dsb_fast import random

    count, shape = (2, (8, 50)) if dry_run else (1024, (8, 5000))  # more than a GPU's cache holds
    draw, how = _philox_of(device, count, shape)
    exact = random.uniform(7, 3, min(count, 4), shape, low=-1.0, high=1.0)
    same = np.asarray(draw().cpu()).reshape(count, *shape)[: len(exact)].tobytes() == exact.tobytes()
    seconds, moved = peaks.kernel_seconds(draw, device, 3 if dry_run else 21), 4 * count * int(np.prod(shape))
    return {"error": 0.0 if same else 1.0, "holds": same, "bytes": moved, "seconds": seconds, "by": how}


def _philox_of(device: str, count: int, shape: tuple):
    """The compiled kernel where it is built, else torch's integers."""
    import torch

    try:
        from dsb_fast import _cuda

        if device != "cpu":
            number = int(device.partition(":")[2] or 0)
            where = {"seed": 7, "start": 3, "count": count, "shape": list(shape), "low": -1.0, "span": 2.0}
            out = torch.empty(count, *shape, device=device)

            def draw():
                stream = torch.cuda.current_stream(out.device).cuda_stream  # the one that is captured
                _cuda.philox_uniform(**where, device=number, out=out, stream=stream)
                return out

            return draw, "compiled"
    except ImportError:
        pass
    from dsb_fast._networks import philox

    seed, start = (torch.tensor(number, device=device) for number in (7, 3))
    return lambda: philox.uniform(seed, start, count, int(np.prod(shape)), 0, -1.0, 1.0), "torch"


_KERNELS = {
    "upfirdn2d": _upfirdn2d, "bias_act": _bias_act, "modulated_conv2d": _modulated_conv2d, "philox": _philox,
}  # fmt: skip


def rows(results: list[dict]) -> list[tuple[str, ...]]:
    """Cells of the table."""
    cells = [("", "error", "us", "GB/s", "of a copy", "")]
    for row in results:
        share = f"{100 * row['copy_share']:.0f} %" if row["copy_share"] else ""
        cells.append((
            f"{row['name']} {row['precision']}", f"{row['error']:.1e}", f"{1e6 * row['seconds']:.0f}",
            f"{row['bytes'] / row['seconds'] / 1e9:.4g}", share, "holds" if row["holds"] else "BROKEN",
        ))  # fmt: skip
    return cells if len(cells) > 1 else [("no kernel was timed",)]

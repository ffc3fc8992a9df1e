"""Kernels and networks against what this machine can do: time over the floor of its products and bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cpu_floors
import cpu_peaks
import layer_peers
import numpy as np
import resampling_peers
from attention_block import AttentionBlock
from cpu_floors import Floor
from gi_model import TRUNCATION, Workspace
from harness import PAUSE_S, spread
from machine import cores

import dsb_fast
from dsb_fast import _kernels, ops, random

SUMMARY = "every kernel and network as a share of its floor, with the machine's peaks of the same rounds"
COUNT = "rounds (7)"
SHAPES = Path(__file__).parent.parent / "shapes"
_BATCH, _SECONDS = 8, 0.08
_FLOATS = 16 << 20  # of the kernels that only pass over memory: beyond the caches


@dataclass
class Work:
    """Something timed: ``run`` makes ``samples`` samples of ``floor`` each."""

    group: str
    name: str
    floor: Floor
    run: Callable[[], object]
    samples: int = 1
    peak: str = "fma_f32_gflops"

    def measure(self) -> float:
        """Seconds a run, over enough runs."""
        done, begin = 0, time.perf_counter()
        while True:
            self.run()
            done += 1
            elapsed = time.perf_counter() - begin
            if elapsed >= _SECONDS:
                return elapsed / done


def _shapes(name: str) -> list[dict]:
    return json.loads((SHAPES / f"{name}.json").read_text(encoding="utf-8"))


def _attentions() -> list[tuple[int, int]]:
    return [(shape["channels"], shape["size"]) for shape in _shapes("attention")]


def _layers() -> list[Work]:
    """The layers of the image networks in ONNX Runtime, over all cores."""
    library, found = str(ops.library_path()), []

    def add(group: str, name: str, layer, floor: Floor, lower: bool = True) -> None:
        """In float32 and, if ``lower`` and the processor multiplies it, in bfloat16 beside."""
        kinds = [("float32", group, "fma_f32_gflops")]
        if lower and cpu_peaks.bf16_gflops():
            kinds.append(("bfloat16", f"{group}, bf16", "bf16_dot_gflops"))
        for products, label, peak in kinds:
            session = layer_peers.OnnxRuntime(layer, layer.fused(products), _BATCH, library)
            found.append(Work(label, name, floor, lambda s=session: s.run(_BATCH), _BATCH, peak))

    for shape in _shapes("gi_layers"):
        sizes = shape["in"], shape["out"], shape["size"]
        # F(4x4,3x3) in bfloat16 from 256 outputs on, where the floors are alike
        same = sizes[2] ** 2 >= 256 or sizes[2] ** 2 < 64
        label = "{} to {} at {}".format(*sizes)
        add("layers", label, layer_peers.Layer(*sizes, _BATCH), cpu_floors.layer(*sizes, _BATCH), same)
    for shape in _shapes("up_layers"):
        sizes = shape["in"], shape["out"], shape["size"]
        label = "{} to {} at {}, up".format(*sizes)
        add("up layers", label, layer_peers.UpLayer(*sizes, _BATCH), cpu_floors.up_layer(*sizes, _BATCH), False)
    for channels, size in _attentions():
        label = f"{channels} channels at {size}"
        add("attention", label, AttentionBlock(channels, size, _BATCH), cpu_floors.attention(channels, size, _BATCH))
    return found


def _resamplings() -> list[Work]:
    """upfirdn2d over the networks' shapes; its sums, eight products a result and axis, are in the floor."""
    found = []
    for shape in _shapes("upfirdn2d"):
        layer = resampling_peers.Layer(shape["kind"], shape["batch"], shape["channels"], shape["size"])
        peer = resampling_peers.Fused(layer)
        label = f"{shape['kind']}, {shape['channels']} planes of {shape['size']}"
        taps = 4 if shape["kind"] == "up 2" else 8  # half of the enlarged image's samples are zeros
        floor = Floor(taps * float(np.prod(layer.out)), layer.bytes)
        found.append(Work("upfirdn2d", label, floor, peer.run))
    return found


def _passes() -> list[Work]:
    """What only passes over memory, on one thread or all: random numbers, conversions, text."""
    out = np.empty((1, _FLOATS), np.float32)
    signal = np.full((1, _FLOATS), 0.05, np.float32)
    whole = np.empty(signal.shape, np.int16)
    image = np.full((_FLOATS // (3 * 128 * 128), 3, 128, 128), 0.5, np.float32)
    ecg = dsb_fast.load("cardiovascular.ecg", device="cpu").sample(1)[0]
    nbytes = len(_kernels.rows_as_text(ecg, " "))
    return [
        Work("passes", "uniform numbers, all cores", Floor(0, out.nbytes),
             lambda: _kernels.random_uniform(out, 0, 0, 0, -1.0, 2.0, cores())),
        Work("passes", "normal numbers, all cores", Floor(0, out.nbytes),
             lambda: _kernels.random_normal(out, 0, 0, 0, cores())),
        Work("passes", "microvolts, one core", Floor(0, signal.nbytes + whole.nbytes),
             lambda: _kernels.microvolt(signal, 6000.0, whole)),
        Work("passes", "grey levels, one core", Floor(0, image.nbytes + image.size),
             lambda: _kernels.grey_levels(image, 255.0, 0.5)),
        Work("passes", "text of an ECG, one core", Floor(0, ecg.nbytes + nbytes),
             lambda: _kernels.rows_as_text(ecg, " ")),
    ]  # fmt: skip


def _networks(workspace: Workspace) -> list[Work]:
    ecg, gi = dsb_fast.load("cardiovascular.ecg", device="cpu"), dsb_fast.load(workspace.checkpoint, device="cpu")
    many, few = 512, 2 * _BATCH * cores()

    def batches(generator, count: int, **options):
        chosen = generator.model.options(**options)
        return lambda: [None for _ in generator.batches(0, 0, count, chosen)]

    whole = cpu_floors.gi_network(_shapes("gi_layers"), _attentions(), _BATCH)
    return [
        Work("networks", "ECG, noise to microvolts", cpu_floors.ecg(), batches(ecg, many), many),
        Work("networks", "GI tract, z to grey levels", whole, batches(gi, few, truncation=TRUNCATION), few),
    ]


def _check() -> str:
    """The floors' counts are those of the kernels: the numbers drawn and converted are the library's own."""
    drawn = np.empty((2, 8 * 5000), np.float32)
    _kernels.random_uniform(drawn, 0, 0, 0, -1.0, 2.0, cores())
    if not np.array_equal(drawn.reshape(2, 8, 5000), random.uniform(0, 0, 2, (8, 5000), low=-1.0, high=1.0)):
        raise AssertionError("the random numbers differ from dsb_fast.random's")
    return "the other cases check these kernels against references; nothing is compared with a peer here"


def measure(count: int | None) -> dict:
    """Peaks and every kernel, in turns; a share is the floor at the round's own peaks over the round's time."""
    workspace = Workspace("limits")
    try:
        works = [*_networks(workspace), *_layers(), *_resamplings(), *_passes()]
        checked = _check()
        seconds: list[list[float]] = [[] for _ in works]
        shares: list[list[float]] = [[] for _ in works]
        measured: list[dict[str, float]] = []
        for work in works:
            work.run()
        for _ in range(count or 7):
            time.sleep(PAUSE_S)
            measured.append(now := cpu_peaks.measure())
            for k, work in enumerate(works):
                taken = work.measure() / work.samples
                seconds[k].append(taken)
                shares[k].append(work.floor.seconds(now[work.peak], now["copy_gbs"]) / taken)
    finally:
        workspace.release()
    found = {
        name: {"values": [m[name] for m in measured], **spread([m[name] for m in measured])} for name in measured[0]
    }
    kernels = [
        {
            "group": work.group,
            "name": work.name,
            "peak": work.peak,
            "products": work.floor.products,
            "bytes": work.floor.bytes,
            "seconds": spread(taken),
            "share": spread(share),
        }
        for work, taken, share in zip(works, seconds, shares, strict=True)
    ]
    return {
        "checked": checked,
        "rounds": len(measured),
        "peaks": found,
        "kernels": kernels,
        "measured": _text(found, kernels),
    }


def _text(found: dict, kernels: list[dict]) -> str:
    import report

    rows = [("", "GFLOP/s", "GB/s", "share of the floor", "min..max")]
    for kernel in kernels:
        rate = 1e-9 / kernel["seconds"]["median"]
        rows.append((
            f"{kernel['group']}: {kernel['name']}", report.number(2 * kernel["products"] * rate),
            report.number(kernel["bytes"] * rate), f"{kernel['share']['median']:.0%}",
            f"{kernel['share']['min']:.0%}..{kernel['share']['max']:.0%}",
        ))  # fmt: skip
    said = ", ".join(f"{name} {report.number(values['median'])}" for name, values in found.items())
    return f"peaks of all cores: {said}\n{report.table(rows)}"

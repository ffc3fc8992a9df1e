"""Samples a second of every way at its best batch, and the network alone against the floor of what was measured."""

from __future__ import annotations

import time

import device_floors as floors
import device_peaks as peaks
import report
import ways as all_ways
from harness import Alternative, Comparison, interleave

_TARGET_S = 0.3  # of one run
_SLOWEST_S = 20.0  # a batch that takes longer is not tried again
_VALUE_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}


def _prepared(way, batch: int, dry_run: bool) -> Alternative:
    """A warm alternative whose run lasts some tenths of a second."""
    run = way.open(batch)
    begin = time.perf_counter()
    run(batch)
    cold = time.perf_counter() - begin
    trial = Alternative(way.name, lambda: run(2 * batch))
    seconds = min(trial.seconds() for _ in range(1 if dry_run else 2)) if cold < _SLOWEST_S else cold
    count = batch if dry_run else batch * max(2, min(2000, round(2 * _TARGET_S / seconds)))
    return Alternative(way.name, lambda: run(count), count, setting=f"batch {batch}")


def best(case, way, found, clock, dry_run: bool) -> Alternative | None:
    """At the batch with the best rate in one run; the batches that time or memory did not allow are named."""
    rates: dict[int, tuple[float, Alternative]] = {}
    for batch in way.batches:
        what = f"{case.name}: timing of {way.name}, batch {batch}"
        if clock.is_out():
            found.missing[what] = "the time was out; --minutes gives more"
            continue
        alternative = found.attempt(what, lambda batch=batch: clock.limited(lambda: _prepared(way, batch, dry_run)))
        if alternative is not None:
            rates[batch] = alternative.work / alternative.seconds(), alternative
    return max(rates.values(), key=lambda pair: pair[0])[1] if rates else None


def measure(case, ways: list, found, clock, args) -> dict:
    """All ways, interleaved; ratios are to the original in eager torch, or to the first where that is not here."""
    alternatives = [found_ for way in ways if (found_ := best(case, way, found, clock, args.dry_run)) is not None]
    return compared(case, alternatives, found, args)


def compared(case, alternatives: list[Alternative], found, args) -> dict:
    if not alternatives:
        return {}
    names = [alternative.name for alternative in alternatives]
    baseline = next((name for name in names if name.startswith("original, eager")), names[0])
    comparison = Comparison(case.rate, baseline, alternatives, "see parity", warm=True)
    timed = found.attempt(
        f"{case.name}: timing", lambda: interleave(comparison, args.rounds, lambda: 1.0, 0.0 if args.dry_run else 0.05)
    )
    if timed is None:
        return {}
    del timed["fma_gflops"]  # that is a probe of a CPU
    return {"summary": f"{case.name}: numbers, network, copies, whole numbers on the host", **timed}


def shares(case, peak: dict, found, clock, device: str, args, hows=("", "channels first")) -> list[dict]:
    """The network alone, at the largest batch: FLOP and bytes a second, and the floor's share of its time."""
    rows = []
    for precision in _VALUE_BYTES:
        for how in hows:
            what = f"{case.name}: network alone, {precision} {how}".strip()
            if clock.is_out():
                found.missing[what] = "the time was out; --minutes gives more"
                continue

            def alone(precision=precision, how=how):
                repeats = 1 if args.dry_run else 11
                return all_ways.network_seconds(case, precision, device, case.batches[-1], repeats, how)

            seconds = found.attempt(what, lambda run=alone: clock.limited(run))
            if seconds is not None:
                rows.append(_share(case, peak, precision, how, seconds))
    return rows


def _share(case, peak: dict, precision: str, how: str, seconds: float) -> dict:
    batch, size = case.batches[-1], _VALUE_BYTES[precision]
    cost = floors.total(case.layers, batch, size)
    floor = batch * floors.floor_s(case.layers, batch, size, peak[precision], peak["copy"]) if peak else None
    return {
        "name": case.name, "precision": precision, "how": how, "batch": batch, "seconds": seconds,
        "flop": cost["flop"], "bytes": cost["bytes"], "tflops": batch * cost["flop"] / seconds / 1e12,
        "gbs": batch * cost["bytes"] / seconds / 1e9, "floor_s": floor,
        "floor_share": floor / seconds if floor else None,
    }  # fmt: skip


def compiled(case, device: str, found, clock, args, before: list[Alternative]) -> dict:
    """The original through torch.compile(max-autotune), interleaved with ``before``, if the time allows it."""
    way, what = all_ways.compiled(case, device), f"{case.name}: {all_ways.COMPILED}"
    if clock.is_out(60):
        found.missing[what] = "the time was out; --minutes gives more"
        return {}
    batch = way.batches[0]
    made = found.attempt(what, lambda: clock.limited(lambda: _prepared(way, batch, args.dry_run)))
    return compared(case, [*before, made], found, args) if made is not None else {}


def table(timed: dict) -> str:
    """One comparison as text."""
    cells = [("", timed["unit"], "min..max", f"ratio to {timed['baseline']}")]
    for row in timed["alternatives"]:
        low, high = (report.number(row[end]) for end in ("min", "max"))
        ratio = report.number(row["ratio"]["median"])
        cells.append((f"{row['name']}, {row['setting']}", report.number(row["median"]), f"{low}..{high}", ratio))
    return f"\n{timed['summary']}\n{report.table(cells)}"


def rows(results: list[dict]) -> list[tuple[str, ...]]:
    """Cells of the table of the networks alone."""
    cells = [("", "batch", "ms a batch", "TFLOP/s", "GB/s", "of the floor")]
    for row in results:
        share = f"{100 * row['floor_share']:.0f} %" if row["floor_share"] else ""
        cells.append((
            f"{row['name']} {row['precision']} {row['how']}".strip(), str(row["batch"]), f"{1e3 * row['seconds']:.2f}",
            f"{row['tflops']:.3g}", f"{row['gbs']:.3g}", share,
        ))  # fmt: skip
    return cells if len(cells) > 1 else [("nothing was timed",)]


def peak_rows(peak: dict) -> list[tuple[str, ...]]:
    cells = [("copy", f"{peak['copy'] / 1e9:.4g} GB/s")] if peak else [("not measured", "")]
    return cells + [(name, f"{peak[name] / 1e12:.4g} TFLOP/s") for name in peaks.TYPES if name in peak]

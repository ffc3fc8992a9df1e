"""How the speed goes with threads, batch size, workers and number of samples; no files, the manifest counts."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import report
from harness import WrongAnswer, spread
from machine import cores

import dsb_fast
from dsb_fast._bulk.manifest_file import read_manifest
from dsb_fast._bulk.run import generate_dataset, make_recipe

SUMMARY = "ECGs a second over threads, batch sizes and workers, and the time an ECG takes in runs of 100 to 100,000"
COUNT = "ECGs of a run over threads, batches and workers (4096); the runs of samples end at 100000 or 100 times that"
_BATCHES = (1, 4, 16, 64, 256)
_SAMPLES = (100, 1_000, 10_000, 100_000)
_ROUNDS = 3


def _run(generator, count: int, **how) -> float:
    """Seconds of a data set of ``count`` samples, the model loaded already. Raises WrongAnswer."""
    recipe, chosen, format_ = make_recipe(generator, count, format="dummy")
    with tempfile.TemporaryDirectory(prefix="scaling") as base:
        folder = str(Path(base, "set"))
        begin = time.perf_counter()
        generate_dataset(generator, folder, recipe, chosen, format_, **how)
        elapsed = time.perf_counter() - begin
        shards = read_manifest(folder)["shards"]
    if sum(shard["count"] for shard in shards) != count:
        raise WrongAnswer(f"a run of {count} samples recorded another number of them")
    return elapsed


def _settings(count: int, most: int) -> list[tuple[str, str, int, dict]]:
    """Axis, label, samples and how."""
    threads = sorted({1, cores(), *(2**k for k in range(1, cores().bit_length()) if 2**k < cores())})
    return [
        *(("threads", str(k), count, {"threads": k}) for k in threads),
        *(("batch", str(k), count, {"batch_size": k}) for k in _BATCHES),
        *(("workers", str(k), count, {"workers": k}) for k in sorted({1, cores()})),
        *(("samples", str(k), k, {}) for k in _SAMPLES if k <= most),
    ]


def measure(count: int | None) -> dict:
    """Every setting once a round, beginning each round with another one; no pause, since our threads do not spin."""
    count = count or 4096
    generator = dsb_fast.load("cardiovascular.ecg", device="cpu")
    settings = _settings(count, min(100_000, 100 * count))
    rates: list[list[float]] = [[] for _ in settings]
    _run(generator, min(count, 256))
    for round_ in range(_ROUNDS):
        first = round_ % len(settings)
        for k in [*range(first, len(settings)), *range(first)]:
            _, _, samples, how = settings[k]
            rates[k].append(samples / _run(generator, samples, **how))
    rows = [
        {"axis": axis, "value": int(label), "samples": samples, "values": values, **spread(values)}
        for (axis, label, samples, _), values in zip(settings, rates, strict=True)
    ]
    lines = [("", "ECG/s", "min..max", "microseconds an ECG")]
    for row in rows:
        span = f"{report.number(row['min'])}..{report.number(row['max'])}"
        label = f"{row['axis']} {row['value']}"
        lines.append((label, report.number(row["median"]), span, report.number(1e6 / row["median"])))
    return {
        "unit": "ECG/s",
        "rounds": _ROUNDS,
        "rows": rows,
        "checked": "every run's manifest records as many samples as were asked for",
        "measured": f"{_ROUNDS} rounds, medians\n{report.table(lines)}",
    }

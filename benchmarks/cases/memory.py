"""Peak memory of a large run: a figure with a bound, not a timing."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from harness import WrongAnswer

from .ecg_process import command, run_process

SUMMARY = "peak memory of `dsb-fast generate --format dummy`, which must not grow with the count"
COUNT = "samples of the large run (50000)"
LIMIT_MB = 400


# Started from a small process: a child's peak counts that of the process it was forked from, here with all of torch.
_WATCH = (
    "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)"
)


def _peak_mb(count: int) -> tuple[float, float]:
    """Peak resident set of the process in MB (10^6 bytes) and its seconds; the run must have made ``count`` samples."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out")
        words = [*command(), "generate", "cardiovascular.ecg", "-n", str(count), "--format", "dummy", "--quiet", "-o"]
        begin = time.perf_counter()
        printed = run_process([sys.executable, "-c", _WATCH, *words, target], folder)
        seconds = time.perf_counter() - begin
        shards = json.loads((target / "dataset.json").read_text())["shards"]
        if sum(shard["count"] for shard in shards) != count:
            raise WrongAnswer(f"dsb-fast generate -n {count} recorded another number of samples")
    return int(printed) * 1024 / 1e6, seconds


def measure(count: int | None) -> dict:
    """The peak of a small and of the large run. Raises WrongAnswer above the bound."""
    count = count or 50_000
    small = min(count, 256)
    small_mb, _ = _peak_mb(small)
    peak_mb, seconds = _peak_mb(count)
    if peak_mb >= LIMIT_MB:
        raise WrongAnswer(f"peak {peak_mb:.0f} MB for {count} samples, above the bound of {LIMIT_MB} MB")
    return {
        "unit": "MB",
        "count": count,
        "peak_mb": peak_mb,
        "small_count": small,
        "small_peak_mb": small_mb,
        "limit_mb": LIMIT_MB,
        "seconds": seconds,
        "checked": f"the manifest records {count} samples",
        "measured": f"peak {peak_mb:.0f} MB for {count} samples, {small_mb:.0f} MB for {small}; bound {LIMIT_MB} MB; "
        f"{seconds:.1f} s, {count / seconds:.0f} ECG/s",
    }

"""Many ECGs as files on disk, whole process, against what the original needs for one, its imports not counted."""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec

from harness import Alternative, Comparison, Missing

from .ecg_process import Folder, check, command, run_process

SUMMARY = "5,000 ECGs to .asc files, whole process, against deepfakeecg.generate(200) net of its imports, per ECG"
COUNT = "ECGs that dsb-fast makes (5000); the original makes 200"
_ORIGINAL_COUNT = 200
_ORIGINAL = (
    "import sys, time, deepfakeecg; begin = time.perf_counter(); "
    "deepfakeecg.generate(int(sys.argv[1]), sys.argv[2]); print(time.perf_counter() - begin)"
)


class _TimedInside(Alternative):
    """The process says itself how long it took."""

    def seconds(self) -> float:
        self.before()
        elapsed = float(self.run().splitlines()[-1])
        self.after()
        return elapsed


def prepare(count: int | None) -> Comparison:
    """Both programs run once, their files are checked; the caches are warm after that."""
    for module in ("torch", "deepfakeecg", "pandas"):
        if find_spec(module) is None:
            raise Missing(f"deepfake-ecg on the CPU: {module} is not installed; pip install '.[cpu,bench]'")
    count = count or 5000
    ours = [*command(), "generate", "cardiovascular.ecg", "-n", str(count), "--quiet", "-o"]
    original = [sys.executable, "-c", _ORIGINAL]
    base = tempfile.TemporaryDirectory(prefix="ecg_bulk")
    try:
        check(ours, count, original, base.name)
    except BaseException:
        base.cleanup()
        raise
    mine, theirs = Folder(base.name, "dsb_fast", count), Folder(base.name, "deepfakeecg", _ORIGINAL_COUNT)
    return Comparison(
        "ECG/s",
        "deepfake-ecg",
        [
            Alternative(
                "dsb_fast", lambda: run_process([*ours, mine.path], base.name), count, mine.clear, mine.after,
                f"{count} ECGs, whole process",
            ),
            _TimedInside(
                "deepfake-ecg", lambda: run_process([*original, str(_ORIGINAL_COUNT), theirs.path], base.name),
                _ORIGINAL_COUNT, theirs.clear, theirs.after, f"{_ORIGINAL_COUNT} ECGs, imports not counted",
            ),
        ],
        f"{count} files of 5000 x 8 integers, 0.asc equal to dsb_fast.load(...).sample(1); the original's likewise",
        warm=True,
        note="target: at least 30 times",
        release=base.cleanup,
    )  # fmt: skip

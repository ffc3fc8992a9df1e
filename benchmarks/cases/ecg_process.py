"""The whole job as a user starts it: a process that makes ECG files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from harness import Alternative, Comparison, Missing, WrongAnswer

import dsb_fast

SUMMARY = "400 ECGs to .asc files, start-up included: dsb-fast generate against deepfakeecg.generate on the CPU"
COUNT = "ECGs that the original makes (400); dsb-fast always makes 400, and rates are compared"
_OURS = 400
_ORIGINAL = "import sys, deepfakeecg; deepfakeecg.generate(int(sys.argv[1]), sys.argv[2])"


def command() -> list[str]:
    """The installed program. Raises Missing."""
    found = shutil.which("dsb-fast", path=str(Path(sys.executable).parent)) or shutil.which("dsb-fast")
    if not found:
        raise Missing("the command dsb-fast is not installed; pip install '.[cpu,bench]'")
    return [found]


def run_process(words: list, folder: str) -> str:
    """Run a program in ``folder``; its standard output. Raises WrongAnswer with its last line if it fails."""
    # Neither an import from the folder a run was started in nor a forgotten PYTHONPATH decides what is timed.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise WrongAnswer(f"{Path(words[0]).name} {words[1]} ended with status {done.returncode}: {last}")
    return done.stdout


class Folder:
    """A new output folder for every run, which must leave ``count`` files in it.

    Nothing is removed before the end: file systems take a while over removed files, ext4 also over each file made next.
    """

    def __init__(self, base: str, name: str, count: int, suffix: str = ".asc"):
        self.path, self.count, self._suffix = Path(base, name), count, suffix
        self._base, self._name, self._runs = base, name, 0

    def clear(self):
        self.path = Path(self._base, f"{self._name}-{self._runs}")
        self._runs += 1
        self.path.mkdir()

    def check(self):
        found = len(list(self.path.glob(f"*{self._suffix}")))
        if found != self.count:
            raise WrongAnswer(f"{self.path.name}: {found} {self._suffix} files, {self.count} were asked for")

    after = check


def _check_file(path: Path) -> np.ndarray:
    signal = np.loadtxt(path, dtype=np.int64)
    if signal.shape != (5000, 8):
        raise WrongAnswer(f"{path.name} has shape {list(signal.shape)}, not [5000, 8]")
    return signal


def check(ours: list, count: int, original: list, base: str) -> None:
    """Both programs' files are what they should be. Raises WrongAnswer."""
    folder = Folder(base, "check", count)
    folder.clear()
    run_process([*ours, folder.path], base)
    folder.check()
    expected = dsb_fast.load("cardiovascular.ecg", device="cpu").sample(1, seed=0)[0].T
    if not np.array_equal(_check_file(folder.path / "0.asc"), expected):
        raise WrongAnswer("0.asc of dsb-fast generate is not dsb_fast.load(...).sample(1)")
    folder = Folder(base, "check-original", 2)
    folder.clear()
    run_process([*original, "2", folder.path], base)
    folder.check()
    signal = _check_file(folder.path / "0.asc")
    if not 50 < np.abs(signal).max() < 6000:
        raise WrongAnswer("0.asc of deepfakeecg.generate holds no ECG of the size in microvolts that is expected")


def prepare(count: int | None) -> Comparison:
    """Both programs run once, their files are checked; the caches are warm after that."""
    for module in ("torch", "deepfakeecg", "pandas"):
        if find_spec(module) is None:
            raise Missing(f"deepfake-ecg on the CPU: {module} is not installed; pip install '.[cpu,bench]'")
    ours = [*command(), "generate", "cardiovascular.ecg", "-n", str(_OURS), "--quiet", "-o"]
    original = [sys.executable, "-c", _ORIGINAL]
    count = count or _OURS
    base = tempfile.TemporaryDirectory(prefix="ecg_process")
    try:
        check(ours, _OURS, original, base.name)
    except BaseException:
        base.cleanup()
        raise
    mine, theirs = Folder(base.name, "dsb_fast", _OURS), Folder(base.name, "deepfakeecg", count)
    return Comparison(
        "ECG/s",
        "deepfake-ecg",
        [
            Alternative(
                "dsb_fast", lambda: run_process([*ours, mine.path], base.name), _OURS, mine.clear, mine.after,
                f"{_OURS} ECGs",
            ),
            Alternative(
                "deepfake-ecg", lambda: run_process([*original, str(count), theirs.path], base.name), count,
                theirs.clear, theirs.after, f"{count} ECGs, torch eager",
            ),
        ],
        "400 files of 5000 x 8 integers, 0.asc equal to dsb_fast.load(...).sample(1); the original's files likewise",
        warm=True,
        note="target: at least 12 times",
        release=base.cleanup,
    )  # fmt: skip

"""ECGs as a user makes them, whole process, in every format that ecgen or others write; ecgen 1.1.0 beside."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from harness import Alternative, Comparison, Missing, WrongAnswer

import dsb_fast
from dsb_fast._models import ecg_source

from .ecg_process import command, run_process

SUMMARY = "ECGs to csv, npy and wfdb, start-up included: dsb-fast generate against ecgen.generate, batches of 32"
COUNT = "ECGs that ecgen makes (200); dsb-fast always makes 400, and rates are compared"
_OURS, _FORMATS, _PEERS = 400, ("csv", "npy", "wfdb"), ("csv", "npy")
_BASELINE = "ecgen, csv"
_SUFFIXES = {"csv": ".csv", "npy": ".npy", "wfdb": ".dat"}
_ECGEN = (
    "import sys; from ecgen.generate import generate; "
    "generate(sys.argv[1], int(sys.argv[2]), sys.argv[3], format=sys.argv[4], denorm=6000.0, device='cpu')"
)


def _checkpoint(folder: str) -> str:
    """deepfake-ecg's weights under the key that ecgen looks for, without what its network has no place for."""
    import torch

    path = str(Path(folder, "ecgen.pt"))
    state = torch.load(ecg_source.open_source(None).path, map_location="cpu", weights_only=True)
    state = {key: value for key, value in state.get("stat_dict", state).items() if not key.startswith("fc1.")}
    torch.save({"netG_state_dict": state}, path)
    return path


class _Run:
    """A program and where it writes; every run has a new folder."""

    def __init__(self, base: str, name: str, words: list, after: list = ()):
        self._base, self._name, self._words, self._after, self._runs = base, name, words, list(after), 0

    def clear(self) -> None:
        self.folder = Path(self._base, f"{self._name}-{self._runs}")
        self._runs += 1

    def __call__(self) -> None:
        run_process([*self._words, self.folder, *self._after], self._base)

    def files(self, suffix: str) -> list[Path]:
        return sorted(self.folder.rglob(f"*{suffix}"))


def _own_first(run: _Run, name: str) -> np.ndarray:
    """Sample 0 as the files have it, [8, 5000] microvolts."""
    first = run.files(_SUFFIXES[name])[0]
    if name == "npy":
        return np.load(first)[0]
    if name == "csv":
        with open(first, newline="", encoding="ascii") as file:
            return np.array(list(csv.reader(file))[1:], np.int64).T
    return np.fromfile(first, "<i2").reshape(-1, 8).T


def _check(ours: dict[str, _Run], theirs: dict[str, _Run]) -> str:
    """Every program once. Raises WrongAnswer."""
    expected = dsb_fast.load("cardiovascular.ecg", device="cpu").sample(1)[0]
    for name, run in ours.items():
        run.clear()
        run()
        if not np.array_equal(_own_first(run, name), expected):
            raise WrongAnswer(f"the first {name} sample of dsb-fast generate is not dsb_fast.load(...).sample(1)")
    for name, run in theirs.items():
        run.clear()
        run()
        if name == "npy":
            largest = np.abs(np.load(run.files(".npy")[0])).max()
            if not 50 < largest < 6000:
                raise WrongAnswer(f"ecgen's signals reach {largest:.0f} microvolts, which no ECG does")
        elif not run.files(".csv"):
            raise WrongAnswer("ecgen.generate wrote no .csv file")
    return "sample 0 of every format of dsb-fast equal to dsb_fast.load(...).sample(1); ecgen's of an ECG's size"


def prepare(count: int | None) -> Comparison:
    """Every program runs once, its files are checked; the caches are warm after that."""
    for module in ("torch", "ecgen"):
        if find_spec(module) is None:
            raise Missing(f"ecgen on the CPU: {module} is not installed; pip install '.[cpu,bench]'")
    count = count or 200
    base = tempfile.mkdtemp(prefix="ecg_formats")
    try:
        own = [*command(), "generate", "cardiovascular.ecg", "-n", str(_OURS), "--device", "cpu", "--quiet"]
        ours = {name: _Run(base, f"own-{name}", [*own, "--format", name, "-o"]) for name in _FORMATS}
        other = [sys.executable, "-c", _ECGEN, _checkpoint(base), str(count)]
        theirs = {name: _Run(base, f"ecgen-{name}", other, [name]) for name in _PEERS}
        checked = _check(ours, theirs)
    except BaseException:
        shutil.rmtree(base, ignore_errors=True)
        raise
    rows = [Alternative(f"dsb_fast, {k}", run, _OURS, run.clear, setting=f"{_OURS} ECGs") for k, run in ours.items()]
    rows += [Alternative(f"ecgen, {k}", run, count, run.clear, setting=f"{count} ECGs") for k, run in theirs.items()]
    return Comparison(
        "ECG/s", _BASELINE, rows, checked, warm=True,
        note="ecgen writes float microvolts; it has no wfdb for these checkpoints",
        release=lambda: shutil.rmtree(base, ignore_errors=True),
    )  # fmt: skip

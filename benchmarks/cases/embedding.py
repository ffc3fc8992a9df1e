"""Samples made by a program in C++, with neither Python nor torch in its process, and by the Python package."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from gi_model import Workspace
from harness import Alternative, Comparison, Missing, WrongAnswer

import dsb_fast
from dsb_fast._models.ecg_source import NAME, open_source

SUMMARY = "dsb-fast-bench, a program on the C library, against the Python package: the same samples of the same network"
COUNT = "ECGs that an alternative makes in a round (512); images are an eighth as many"
_CHECKED = 70


def _program() -> str:
    try:
        program = Path(dsb_fast.get_library()).parent.parent / "bin" / "dsb-fast-bench"
    except dsb_fast.MissingDependencyError as error:
        raise Missing(f"dsb-fast-bench: {error}") from None
    spec = find_spec("onnxruntime")
    folder = Path(spec.origin).parent / "capi" if spec else Path("nowhere")
    if not list(folder.glob("libonnxruntime.so*")):
        raise Missing("libonnxruntime.so: no onnxruntime whose wheel has it is installed; pip install '.[cpu]'")
    os.environ.setdefault("DSB_ONNXRUNTIME_LIBRARY", str(folder))
    return str(program)


class _Process:
    """dsb-fast-bench, which makes its samples whenever it gets a line."""

    def __init__(self, program: str, file: str, count: int):
        words = [program, file, "--count", str(count), "--rounds", str(1 << 20), "--wait", "--quiet"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise WrongAnswer(f"dsb-fast-bench ended with status {self._process.wait()}")

    def end(self) -> None:
        self._process.communicate()


def _check(program: str, file: str, generator, folder: str) -> None:
    """The program's bytes are Python's. Raises WrongAnswer."""
    out = Path(folder, "samples")
    words = [program, file, "--count", str(_CHECKED), "--seed", "5", "--rounds", "1", "--quiet", "--output", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongAnswer(f"dsb-fast-bench: {done.stderr.strip()}")
    expected = generator.sample(_CHECKED, seed=5)
    if not np.array_equal(np.fromfile(out, expected.dtype).reshape(expected.shape), expected):
        raise WrongAnswer(f"dsb-fast-bench: the samples of {Path(file).name} are not those of the Python package")


def comparisons(count: int | None) -> Iterator[tuple[str, Comparison]]:
    """One for each network and flavour; the bytes of both sides are compared first."""
    program, count = _program(), count or 512
    place = Workspace("embedding")
    try:
        folder = place.folder
        image = dsb_fast.load(place.checkpoint, device="cpu").model
        parts = {
            "ECG, fused": (open_source(None).export, "fused", NAME, "ECG/s", count),
            "ECG, portable graph": (open_source(None).export, "portable", None, "ECG/s", max(1, count // 2)),
            "128 x 128 image, fused": (image.export, "fused", None, "images/s", max(1, count // 8)),
            "128 x 128 image, portable graph": (image.export, "portable", None, "images/s", max(1, count // 8)),
        }
        for name, (export, flavour, model, unit, samples) in parts.items():
            file = str(Path(folder, "model.onnx"))
            export(file, flavour)
            generator = dsb_fast.load(model or file, device="cpu")
            _check(program, file, generator, folder)
            process = _Process(program, file, samples)
            try:
                yield name, Comparison(
                    unit,
                    "Python",
                    [
                        Alternative("C++", process.run, samples, setting=f"dsb-fast-bench, {samples} a round"),
                        Alternative(
                            "Python", lambda g=generator, n=samples: g.sample(n), samples,
                            setting=f"{generator.info['backend']}, sample({samples})",
                        ),
                    ],
                    f"{_CHECKED} samples, byte for byte",
                    note="target: at least 1 time",
                )  # fmt: skip
            finally:
                process.end()
    finally:
        place.release()

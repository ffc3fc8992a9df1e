"""From the shell to the first sample."""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from harness import Alternative, Comparison, Missing, WrongAnswer

import dsb_fast

from .ecg_process import command, run_process

SUMMARY = "process start to the first sample, graph cached, against importing numpy and onnxruntime"
COUNT = "processes in one run of each alternative (3)"
_SAMPLE = "import dsb_fast; print(dsb_fast.load('cardiovascular.ecg', device='cpu').sample(1).shape)"


def prepare(count: int | None) -> Comparison:
    """One sample through the command and through Python; the first runs fill the graph cache."""
    if find_spec("onnxruntime") is None:
        raise Missing("import numpy, onnxruntime: onnxruntime is not installed; pip install '.[cpu]'")
    if dsb_fast.load("cardiovascular.ecg", device="cpu").sample(1).shape != (1, 8, 5000):
        raise WrongAnswer("the first sample does not have shape [1, 8, 5000]")
    count = count or 3
    base = tempfile.TemporaryDirectory(prefix="startup")
    generate = [*command(), "generate", "cardiovascular.ecg", "-n", "1", "--format", "dummy", "--quiet", "-o"]
    number = iter(range(1 << 62))

    def program():
        for _ in range(count):
            run_process([*generate, Path(base.name, str(next(number)))], base.name)

    def python(code):
        for _ in range(count):
            run_process([sys.executable, "-c", code], base.name)

    return Comparison(
        "s",
        "import numpy, onnxruntime",
        [
            Alternative("dsb-fast generate -n 1", program, count),
            Alternative("dsb_fast.load(...).sample(1)", lambda: python(_SAMPLE), count),
            Alternative("import numpy, onnxruntime", lambda: python("import numpy, onnxruntime"), count),
        ],
        "both programs end with status 0; a sample has shape [1, 8, 5000]",
        note="target: within 2.5 times; seconds are those of one process",
        release=base.cleanup,
    )

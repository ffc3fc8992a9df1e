"""The tiles of the GPU's kernels, with shared memory, barriers and matrix fragments, as threads on the host.

``.ci/sanitize`` runs the same program under ThreadSanitizer, which finds a hand-over that no barrier orders.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-ffp-contract=off", "-pthread")
pytestmark = pytest.mark.variant_independent


def test_tiles_give_the_sums_of_a_plain_loop(tmp_path):
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("the tiles can't be built for the host: a C++ compiler is not here")
    folder, program = ROOT / "tests/native/cuda_tiles", tmp_path / "tiles"
    shared = ("cuda/conv_geometry.cc", "cuda/filter_plan.cc", "ops/upfirdn2d_shape.cc")
    sources = [*folder.glob("*_tests.cc"), *(ROOT / "csrc" / name for name in shared)]
    includes = [f"-I{ROOT / 'csrc'}", f"-I{folder}"]
    subprocess.run([compiler, *FLAGS, *includes, *sources, "-o", program], check=True)
    done = subprocess.run([program, "1"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 26

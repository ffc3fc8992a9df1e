"""The tiles of the GPU's convolutions, with shared memory, barriers and matrix fragments, as threads on the host."""

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
    sources = [folder / "tiles_tests.cc", ROOT / "csrc/cuda/conv.cu", ROOT / "csrc/cuda/conv_geometry.cc"]
    includes = [f"-I{ROOT / 'csrc'}", f"-I{folder}"]
    subprocess.run([compiler, *FLAGS, *includes, "-x", "c++", *sources, "-o", program], check=True)
    done = subprocess.run([program, "1"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 22

"""The compiled extension and the CUDA kernels, built from the tree where nvcc is and dsb_fast lies in that tree."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

_KEPT = 4000  # characters of a failed build's output


def nvcc() -> str | None:
    """Path of the compiler."""
    return shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def build(root: Path, folder: Path, seconds: float) -> dict:
    """Configure and build with -DDSB_CUDA=ON into the source tree's package; what was built, or why nothing was."""
    if (compiler := nvcc()) is None:
        return {"built": [], "reason": "nvcc is not here"}
    if not shutil.which("cmake"):
        return {"built": [], "reason": "cmake is not here"}
    package, before = root / "dsb_fast", {path.name for path in (root / "dsb_fast").glob("*.so")}
    words = [
        "cmake", "-S", root, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DDSB_CUDA=ON",
        f"-DCMAKE_CUDA_COMPILER={compiler}",
        f"-DDSB_PYTHON_OUTPUT={package}", f"-DPython_EXECUTABLE={sys.executable}", *_pybind11(), *_architecture(),
    ]  # fmt: skip
    if headers := os.environ.get("ONNXRUNTIME_INCLUDE_DIR"):
        words.append(f"-DONNXRUNTIME_INCLUDE_DIR={headers}")
    log = []
    for step in (words, ["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1)]):
        try:
            done = subprocess.run(
                list(map(str, step)), capture_output=True, text=True, check=False, timeout=max(1.0, seconds)
            )
        except subprocess.TimeoutExpired:
            return {"built": [], "reason": "the time was out; --minutes gives more"}
        log.append(done.stdout + done.stderr)
        if done.returncode:
            return {"built": [], "reason": f"{step[0]} {step[1]} failed", "log": log[-1][-_KEPT:]}
    after = sorted(path.name for path in package.glob("*.so"))
    return {"built": after, "new": sorted(set(after) - before), "warnings": log[-1].count("warning")}


def _pybind11() -> list[str]:
    if importlib.util.find_spec("pybind11") is None:
        return []
    import pybind11

    return [f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]


def _architecture() -> list[str]:
    """This machine's GPU alone, which builds in a sixth of the time of all that are supported."""
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60)
        return [f"-DDSB_CUDA_ARCHITECTURES={done.stdout.splitlines()[0].strip().replace('.', '')}"]
    except (OSError, subprocess.SubprocessError, IndexError):
        return []

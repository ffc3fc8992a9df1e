"""The compiled extension, and the CUDA kernels where nvcc is, built from the tree into the package that lies there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_KEPT = 4000  # characters of a failed build's output


def nvcc() -> str | None:
    """Path of the compiler."""
    return shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def has_extension(root: Path) -> bool:
    """Whether this Python finds the compiled extension, installed or in the tree."""
    installed = importlib.util.find_spec("dsb_fast") is not None
    return installed or any((root / "dsb_fast" / f"_native{end}").exists() for end in EXTENSION_SUFFIXES)


def build(root: Path, folder: Path, seconds: float, cuda: bool = True) -> dict:
    """Configure and build into the source tree's package; what was built, and why not all of it was.

    Without nvcc, without ``cuda``, and where that build fails, it is the extension alone, which nearly all needs.
    """
    if not shutil.which("cmake"):
        return {"built": [], "reason": "cmake is not here"}
    compiler = nvcc() if cuda else None
    failed = {"reason": "nvcc is not here"} if cuda and not compiler else {}
    if compiler:
        done = _run(root, folder / "cuda", seconds, ["-DDSB_CUDA=ON", f"-DCMAKE_CUDA_COMPILER={compiler}", *_gpu()])
        if "reason" not in done:
            return done
        failed = {name: done[name] for name in ("reason", "log") if name in done}
    done = _run(root, folder / "plain", seconds, [])
    return done if "reason" in done else {**done, **failed}


def _run(root: Path, folder: Path, seconds: float, options: list[str]) -> dict:
    """One build: ``built``, or a ``reason``."""
    package, before = root / "dsb_fast", {path.name for path in (root / "dsb_fast").glob("*.so")}
    words = [
        "cmake", "-S", root, "-B", folder, "-DCMAKE_BUILD_TYPE=Release",
        f"-DDSB_PYTHON_OUTPUT={package}", f"-DPython_EXECUTABLE={sys.executable}", *_pybind11(), *options,
    ]  # fmt: skip
    if headers := os.environ.get("ONNXRUNTIME_INCLUDE_DIR"):
        words.append(f"-DONNXRUNTIME_INCLUDE_DIR={headers}")
    log = []
    for step in (words, ["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1)]):
        try:
            status, output = _finished(list(map(str, step)), seconds)
        except (OSError, subprocess.TimeoutExpired) as error:
            late = isinstance(error, subprocess.TimeoutExpired)
            return {"built": [], "reason": "the time was out; --minutes gives more" if late else f"cmake: {error}"}
        log.append(output)
        if status:
            return {"built": [], "reason": f"{step[0]} {step[1]} failed{_why(log[-1])}", "log": log[-1][-_KEPT:]}
    after = sorted(path.name for path in package.glob("*.so"))
    return {"built": after, "new": sorted(set(after) - before), "warnings": log[-1].count("warning")}


def _finished(words: list[str], seconds: float) -> tuple[int, str]:
    """Exit status and output; compilers that outlast ``seconds`` end with what started them. Raises TimeoutExpired."""
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = child.communicate(timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    return child.returncode, output


def _why(log: str) -> str:
    """The first line of a build's output that names an error."""
    lines = (" ".join(line.split()) for line in log.splitlines())
    found = next((line for line in lines if "error" in line.lower()), "")
    return f": {found[:200]}" if found else ""


def _pybind11() -> list[str]:
    if importlib.util.find_spec("pybind11") is None:
        return []
    import pybind11

    return [f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]


def _gpu() -> list[str]:
    """This machine's GPU alone, which builds in a sixth of the time of all that are supported."""
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60)
        return [f"-DDSB_CUDA_ARCHITECTURES={done.stdout.splitlines()[0].strip().replace('.', '')}"]
    except (OSError, subprocess.SubprocessError, IndexError):
        return []

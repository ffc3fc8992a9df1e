"""The GPU's Python module compiled as loops for the host, and arrays that pretend to lie on a CUDA device."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pybind11
import pytest

ROOT = Path(__file__).resolve().parents[2]
_SHARED = ("ops/activation.cc", "ops/upfirdn2d_shape.cc")
_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")


def _compile(compiler: str, folder: Path) -> Path:
    csrc = ROOT / "csrc"
    kernels = [p for pattern in ("cuda/*.cu", "cuda/*.cc") for p in sorted(csrc.glob(pattern))]
    kernels += [csrc / name for name in _SHARED]
    # The bindings as one file: most of their time is pybind11's headers.
    bindings = folder / "bindings.cc"
    parts = [p for p in sorted((csrc / "python_cuda").glob("*.cc")) if p.name != "memory_cuda.cc"]
    bindings.write_text("".join(f'#include "{p}"\n' for p in parts))
    includes = [f"-I{csrc}", "-isystem", pybind11.get_include(), "-isystem", sysconfig.get_path("include")]
    flags = [*_FLAGS, "-DDSB_CUDA_MODULE=_cuda_host", *includes, "-x", "c++", "-c"]

    def one(source: Path) -> str:
        made = folder / f"{source.name}.o"
        how = "-O0" if source == bindings else "-O1"
        subprocess.run([compiler, how, *flags, str(source), "-o", str(made)], check=True)
        return str(made)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(one, [bindings, *kernels]))
    module = folder / f"_cuda_host{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, "-shared", "-o", str(module), *objects], check=True)
    return module


@cache
def module():
    """dsb_fast._cuda_host: the file ``DSB_CUDA_HOST_MODULE``, or built here; skips the test without a compiler."""
    path = os.environ.get("DSB_CUDA_HOST_MODULE")
    if not path:
        compiler = shutil.which(os.environ.get("CXX", "c++"))
        if compiler is None:
            pytest.skip("the GPU's module can't be built for the host: a C++ compiler is not here")
        path = _compile(compiler, Path(tempfile.mkdtemp(prefix="dsb-cuda-module-")))
    spec = importlib.util.spec_from_file_location("_cuda_host", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class FakeCuda:
    """What a GPU library's array shows: DLPack's protocol, a device of type CUDA, and no way into numpy."""

    def __init__(self, array):
        self.array = array
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

    def __array__(self, *_, **__):
        raise TypeError("an array on a GPU is not converted to numpy without being asked")

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __array_namespace__(self, **_):
        return FakeCuda

    @staticmethod
    def from_dlpack(array):
        return FakeCuda(np.from_dlpack(array))

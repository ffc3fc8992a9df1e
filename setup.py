"""Build of the compiled extension and the C library through CMake; everything else is in pyproject.toml.

``DSB_NATIVE=0`` leaves the extension out: the package then needs numba, which makes the same bits more slowly.
``DSB_CUDA=1`` adds the kernels and operators for NVIDIA GPUs, which need nvcc.
``DSB_CMAKE_ARGS`` is handed to CMake, for example ``-DDSB_SANITIZE=address``.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
NATIVE = os.environ.get("DSB_NATIVE", "1") != "0"
CUDA = os.environ.get("DSB_CUDA", "0") != "0"
GPU_FILES = ("libdsb_fast_ort_cuda.so", "_cuda.*.so")


class CMakeBuild(build_ext):
    """Runs CMake once; the one extension module lands where setuptools expects it."""

    def build_extension(self, ext):
        import pybind11

        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve()
        library, prefix = target / "libdsb_fast_ort.so", target / "_c"
        library.unlink(missing_ok=True)  # an earlier build's; this one may have no headers for it
        for path in gpu_files(target):
            path.unlink()
        shutil.rmtree(prefix, ignore_errors=True)
        shutil.rmtree(build, ignore_errors=True)  # a cache that names another build environment fails in odd ways
        build.mkdir(parents=True)
        configure = [
            "cmake",
            f"-S{ROOT}",
            f"-B{build}",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DDSB_PYTHON_OUTPUT={target}",
            *(f"-DCMAKE_INSTALL_{name}DIR={name.lower()}" for name in ("BIN", "LIB")),
            "-DCMAKE_INSTALL_INCLUDEDIR=include",
            "-DDSB_STATIC=ON",
            f"-DDSB_CUDA={'ON' if CUDA else 'OFF'}",
            *(["-GNinja"] if shutil.which("ninja") else []),
            *shlex.split(os.environ.get("DSB_CMAKE_ARGS", "")),
        ]
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", str(build), "--parallel", str(os.cpu_count() or 1)], check=True)
        if library.is_file():  # and with it the C library
            subprocess.run(["cmake", "--install", str(build), "--prefix", str(prefix)], check=True)
            link = prefix / "lib/libdsb_fast.so"  # a wheel has no symbolic links
            name = os.readlink(link)
            link.unlink()
            link.write_text(f"INPUT({name})\n")
        if self.editable_mode:
            shutil.rmtree(ROOT / "dsb_fast/_c", ignore_errors=True)
            for path in gpu_files(ROOT / "dsb_fast"):
                path.unlink()
            for path in gpu_files(target):
                shutil.copy2(path, ROOT / "dsb_fast")
            if library.is_file():
                shutil.copy2(library, ROOT / "dsb_fast")
                shutil.copytree(prefix, ROOT / "dsb_fast/_c")


def gpu_files(folder):
    """What ``DSB_CUDA=1`` builds, where it is in ``folder``."""
    return [path for pattern in GPU_FILES for path in folder.glob(pattern)]


def build_tools():
    """What CMake needs and this machine lacks; pip brings it for the build."""
    tools = [] if shutil.which("cmake") else ["cmake>=3.18"]
    return tools if shutil.which("ninja") or shutil.which("make") else [*tools, "ninja"]


setup(
    # Listed here, not in pyproject.toml, because two of the lists depend on the machine that builds.
    install_requires=[
        "numpy>=1.24",
        "onnx>=1.15",
        "pillow>=11",
        "tqdm>=4.60",
        "tomli>=2; python_version < '3.11'",  # the standard library has it from then on
        "deepfake-ecg==1.1.2",  # carries the published ECG weights; never imported
        *([] if NATIVE else ["numba>=0.60"]),
    ],
    setup_requires=build_tools() if NATIVE else [],
    packages=[
        *(
            "dsb_fast" + str(p.parent)[len(str(ROOT / "dsb_fast")) :].replace(os.sep, ".")
            for p in sorted((ROOT / "dsb_fast").rglob("__init__.py"))
        ),
        "dsb_fast.export",
        "dsb_fast._models.cards",
    ],
    package_dir={"dsb_fast.export": "export"},
    package_data={"dsb_fast._models.cards": ["*.toml"]},
    ext_modules=[Extension("dsb_fast._native", [])] if NATIVE else [],
    cmdclass={"build_ext": CMakeBuild},
)

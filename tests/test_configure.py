"""What CMake says of settings that can't be right, and a build by make, which knows less of what depends on what."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CMAKE = shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))
pytestmark = [
    pytest.mark.variant_independent,
    pytest.mark.skipif(
        not (CMAKE and shutil.which("c++") and shutil.which("make")),
        reason="cmake, make or a C++ compiler is not here, so that nothing can be configured",
    ),
]


def _configure(folder: Path, *settings: str) -> subprocess.CompletedProcess:
    words = [CMAKE, "-S", str(ROOT), "-B", str(folder), "-GUnix Makefiles", *settings]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def _headers(folder: Path, version: int) -> Path:
    """A folder that looks like that of ONNX Runtime's headers."""
    folder.mkdir()
    (folder / "onnxruntime_c_api.h").write_text(f"#define ORT_API_VERSION {version}\n")
    (folder / "onnxruntime_cxx_api.h").touch()
    return folder


def test_settings_that_can_not_be_right_are_named(tmp_path):
    old = _headers(tmp_path / "old", 16)
    for setting, said in (
        ("-DDSB_SANITIZE=memory", "'memory' is not known"),
        (f"-DONNXRUNTIME_INCLUDE_DIR={tmp_path}", "no onnxruntime_cxx_api.h"),
        (f"-DONNXRUNTIME_INCLUDE_DIR={old}", "1.17 or newer is needed"),
    ):
        done = _configure(tmp_path / "build", setting, "-DDSB_SANITIZE=" if "SANITIZE" not in setting else "-DX=")
        assert done.returncode == 1 and said in " ".join(done.stderr.split()), done.stderr


def test_headers_can_be_named_again_and_the_static_library_waits_for_its_parts(tmp_path):
    for name in ("one", "an other"):
        done = _configure(
            tmp_path / "build", f"-DONNXRUNTIME_INCLUDE_DIR={_headers(tmp_path / name, 21)}", "-DDSB_STATIC=ON"
        )
        assert done.returncode == 0, done.stderr
        assert f"DSB_ORT_HEADERS:PATH={tmp_path / name}\n" in (tmp_path / "build/CMakeCache.txt").read_text()
    rules = (tmp_path / "build/CMakeFiles/Makefile2").read_text()
    waits = set(re.findall(r"^CMakeFiles/dsb_fast_static\.dir/all: CMakeFiles/(\w+)\.dir/all$", rules, flags=re.M))
    if not waits and "dsb_fast_static" not in rules:
        pytest.skip("objcopy is not here, without which there is no libdsb_fast.a")
    assert {"dsb_core", "dsb_capi_objects", "dsb_ort_operators"} <= waits


@pytest.mark.skipif(platform.machine() != "x86_64", reason="kernel variants are of x86-64 here")
def test_a_variant_has_its_own_instructions_whatever_cxxflags_say(tmp_path):
    done = _configure(
        tmp_path / "build", "-DCMAKE_CXX_FLAGS=-march=native -mtune=native -ffast-math -ffp-contract=fast"
    )
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "build/CMakeFiles").glob("dsb_kernels_*.dir/flags.make"))
    assert len(files) > 1
    for file in files:
        flags = re.search("^CXX_FLAGS = (.*)$", file.read_text(), flags=re.M)[1].split()
        for asked, ours in (
            ("-march=native", "-march=x86-64"),
            ("-ffast-math", "-fno-fast-math"),
            ("-ffp-contract=fast", "-ffp-contract=off"),
        ):
            assert flags.index(asked) < flags.index(ours), file

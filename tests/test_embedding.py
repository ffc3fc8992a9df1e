"""Programs outside the tree: the examples built from an installed prefix and run, the CMake package, dsb-fast-bench."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from references import images
from references.embedding import ONNXRUNTIME, PREFIX, library, needs_library

import dsb_fast
from dsb_fast._models.ecg_source import open_source

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "embed"
CMAKE = shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))
CC, CXX = shutil.which("cc"), shutil.which("c++")
needs_compiler = pytest.mark.skipif(not (CC and CXX), reason="no C and C++ compiler is here to build the examples with")
needs_cmake = pytest.mark.skipif(
    not (CMAKE and CC and CXX), reason="cmake, a C or a C++ compiler is not here, so that nothing can be built"
)
STRICT = "-Wall -Wextra -Wpedantic -Werror"


def _run(*words, env=None, status=0, **options) -> subprocess.CompletedProcess:
    given = {"DSB_ONNXRUNTIME_LIBRARY": str(ONNXRUNTIME)} if env is None else env
    kept = {key: value for key, value in os.environ.items() if key != "DSB_ONNXRUNTIME_LIBRARY"}
    done = subprocess.run(
        [str(word) for word in words],
        env={**kept, **given},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> Path:
    """What cmake --install made, at another place than it was made for."""
    place = tmp_path_factory.mktemp("installed") / "prefix"
    shutil.copytree(PREFIX, place)
    return place


@pytest.fixture(scope="module")
def ecg(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("ecg") / "ecg.onnx"
    open_source(None).export(path, "fused")
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory, data) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.onnx"
    dsb_fast.load(images.folder(data, "rgba_noconst32"), device="cpu").model.export(path, "fused")
    return path


@pytest.fixture(scope="module", params=["shared", "static"])
def built(request, prefix, tmp_path_factory) -> Path:
    """The folder of the examples' programs."""
    if request.param == "static" and not (prefix / "lib/libdsb_fast.a").exists():
        pytest.skip("libdsb_fast.a was not built: objcopy was not there")
    build = tmp_path_factory.mktemp(request.param)
    flags = [f"-DCMAKE_{language}_FLAGS={STRICT}" for language in ("C", "CXX")]
    static = f"-DLINK_STATIC={'ON' if request.param == 'static' else 'OFF'}"
    _run(CMAKE, "-S", EXAMPLES, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", static, *flags)
    _run(CMAKE, "--build", build)
    return build


@needs_library
@needs_cmake
def test_asc_files_are_those_of_the_command(built, ecg, tmp_path, command):
    (tmp_path / "c").mkdir()
    _run(built / "write_asc", ecg, 20, tmp_path / "c", 4)
    command("generate", "cardiovascular.ecg", "-n", 20, "-o", tmp_path / "python", "--seed", 4, "--quiet", check=0)
    for number in range(20):
        name = f"{number}.asc"
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "python" / name).read_bytes(), name
    assert len(list((tmp_path / "c").iterdir())) == 20


@needs_library
@needs_cmake
@pytest.mark.parametrize("producers", [1, 2, 7])
def test_a_thread_pool_feeds_a_consumer(built, ecg, generator, producers):
    lines = _run(built / "feed", ecg, 100, producers).stdout.splitlines()
    assert lines[0] == f"100 ECGs, sum of microvolts {generator.sample(100).astype(np.int64).sum()}"
    assert re.fullmatch(rf"\d+\.\d ECGs a second from {producers} threads", lines[1])


@needs_library
@needs_cmake
@pytest.mark.parametrize(("rank", "world"), [(0, 1), (1, 3)])
def test_an_image_source_inside_a_program(built, image, tmp_path, rank, world):
    place = [] if world == 1 else [rank, world]
    lines = _run(built / "image_source", image, 2, 5, tmp_path, *place).stdout.splitlines()
    generator, expected = dsb_fast.load(image, device="cpu"), []
    for epoch in range(2):
        for batch in range(2):
            made = generator.sample(5, seed=1 + epoch, start=(batch * world + rank) * 5)
            mean = f"{made.astype(np.float64).mean():.3f}"
            expected.append(f"epoch {epoch} batch {batch}: sum {made.astype(np.int64).sum()}, mean {mean}")
            picture = (tmp_path / f"{epoch}-{batch}.ppm").read_bytes()
            assert picture == b"P6\n32 32\n255\n" + made[0, :, :, :3].tobytes()
    assert lines == expected


@needs_library
@needs_cmake
def test_examples_say_what_is_wrong(built, ecg, image, tmp_path):
    for words, said in [
        (("write_asc", tmp_path / "no.onnx", 1, tmp_path), "No such file"),
        (("write_asc", ecg, 1, tmp_path / "nowhere"), "No such file"),
        (("write_asc", image, 1, tmp_path), "microvolts"),
        (("feed", image, 10), "microvolts"),
        (("image_source", ecg, 1, 1, tmp_path), "pixels"),
    ]:
        done = _run(built / words[0], *words[1:], status=1)
        assert said in done.stderr and len(done.stderr.splitlines()) == 1
        assert _run(built / words[0], status=2).stderr.startswith("usage")


@needs_library
@needs_cmake
def test_no_python_and_no_torch_are_in_the_process(built, ecg):
    done = _run(built / "feed", ecg, 5, 1, env={"DSB_ONNXRUNTIME_LIBRARY": str(ONNXRUNTIME), "LD_DEBUG": "files"})
    loaded = set(re.findall(r"calling init: \S*?/([^/\s]+)$", done.stderr, flags=re.M))
    assert any(name.startswith("libonnxruntime") for name in loaded)
    assert not [name for name in loaded if re.search(r"python|torch|numpy", name)]


@needs_library
@needs_cmake
def test_a_project_in_c_alone_and_versions(prefix, tmp_path):
    (tmp_path / "main.c").write_text(
        "#include <dsb_fast/dsb_fast.h>\nint main(void) { return dsb_abi_version() != 1; }\n"
    )
    project = """cmake_minimum_required(VERSION 3.18)
project(other LANGUAGES C)
find_package(dsb_fast {} CONFIG REQUIRED)
add_executable(main main.c)
target_link_libraries(main PRIVATE dsb_fast::dsb_fast)
"""
    for version, status in (("9.1", 1), ("0.1", 0)):
        (tmp_path / "CMakeLists.txt").write_text(project.format(version))
        _run(CMAKE, "-S", tmp_path, "-B", tmp_path / version, f"-DCMAKE_PREFIX_PATH={prefix}", status=status)
    _run(CMAKE, "--build", tmp_path / "0.1")
    _run(tmp_path / "0.1/main")


@needs_library
@needs_compiler
def test_a_compiler_and_the_packages_functions_are_enough(ecg, tmp_path):
    include, shared = f"-I{dsb_fast.get_include()}", dsb_fast.get_library()
    rpath = f"-Wl,-rpath,{Path(shared).parent}"
    _run(
        CC, "-std=c11", *STRICT.split(), include, EXAMPLES / "write_asc.c", shared, rpath, "-o", tmp_path / "write_asc"
    )
    _run(
        CXX,
        "-std=c++17",
        *STRICT.split(),
        include,
        EXAMPLES / "feed.cc",
        shared,
        rpath,
        "-pthread",
        "-o",
        tmp_path / "feed",
    )
    _run(tmp_path / "write_asc", ecg, 1, tmp_path)
    assert (tmp_path / "0.asc").stat().st_size > 5000
    _run(tmp_path / "feed", ecg, 5)


@needs_library
@needs_compiler
def test_pkg_config(prefix, ecg, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not here")
    found = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = _run("pkg-config", "--cflags", "--libs", "dsb_fast", env=found).stdout.split()
    assert _run("pkg-config", "--modversion", "dsb_fast", env=found).stdout.strip() == dsb_fast.__version__
    rpath = f"-Wl,-rpath,{prefix / 'lib'}"
    _run(CC, "-std=c11", EXAMPLES / "write_asc.c", *flags, rpath, "-o", tmp_path / "write_asc")
    _run(tmp_path / "write_asc", ecg, 1, tmp_path)


@needs_library
@pytest.mark.parametrize("layout", ["wheel", "prefix"])
def test_onnxruntime_is_found_beside_the_package(prefix, ecg, tmp_path, layout):
    """As pip installs both, and in a prefix that has a Python of its own."""
    site = tmp_path / ("" if layout == "wheel" else "lib/python3.11") / "site-packages"
    place = site / "dsb_fast/_c" if layout == "wheel" else tmp_path
    shutil.copytree(prefix, place, dirs_exist_ok=True)
    (site / "onnxruntime").mkdir(parents=True)
    (site / "onnxruntime/capi").symlink_to(ONNXRUNTIME)
    done = _run(place / "bin/dsb-fast-bench", ecg, "--count", 1, "--rounds", 1, env={})
    assert "ONNX Runtime" in done.stderr


@needs_library
@pytest.mark.parametrize("callers", [1, 3])
def test_the_benchmark_program_makes_pythons_bytes(prefix, ecg, image, tmp_path, callers):
    bench = prefix / "bin/dsb-fast-bench"
    for path, words in ((ecg, ["--leads", 12]), (image, ["--truncation", 0.5, "--batch-size", 3])):
        options = {words[0][2:]: words[1]}
        out = tmp_path / "out"
        done = _run(bench, path, "--count", 37, "--rounds", 2, "--seed", 3, "--start", 9, *words, "--callers", callers,
                    "--output", out)  # fmt: skip
        assert len(done.stdout.splitlines()) == 2 and "samples/s" in done.stdout
        expected = dsb_fast.load(path, device="cpu").sample(37, seed=3, start=9, **options)
        assert out.read_bytes() == expected.tobytes()
    quiet = _run(bench, ecg, "--count", 1, "--rounds", 3, "--quiet", "--wait", input="\n\n")
    assert len([float(line) for line in quiet.stdout.splitlines()]) == 2 and not quiet.stderr


@needs_library
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "no file"), (["x", "y"], 2, "one file"), (["x", "--what", "1"], 2, "--what"),
        (["x", "--count"], 2, "--count"), (["x", "--count", "-1"], 2, "--count"),
        (["x", "--rounds", "0"], 2, "--rounds"), (["x", "--format", "wav"], 2, "--format"),
        (["/nowhere/x.onnx"], 1, "No such file"),
    ],
)  # fmt: skip
def test_the_benchmark_program_says_what_is_wrong(prefix, words, status, said):
    done = _run(prefix / "bin/dsb-fast-bench", *words, status=status)
    assert said in done.stderr and len(done.stderr.splitlines()) == 1 and not done.stdout


@needs_library
@pytest.mark.variant_independent
def test_the_static_library_has_no_names_but_ours():
    archive = PREFIX / "lib/libdsb_fast.a"
    if not archive.exists():
        pytest.skip("libdsb_fast.a was not built: objcopy was not there")
    rows = [
        line.split()
        for line in subprocess.check_output(["nm", "-g", "--defined-only", archive], text=True).splitlines()
    ]
    strong = [row[2] for row in rows if len(row) == 3 and row[1] not in "VW"]
    assert strong and all(name.startswith("dsb_") for name in strong)
    weak = [row[2] for row in rows if len(row) == 3 and row[1] in "VW"]
    assert all("St" in name for name in weak), "of the C++ standard library alone"


@needs_library
@pytest.mark.variant_independent
def test_places_and_version():
    assert (Path(dsb_fast.get_include()) / "dsb_fast/dsb_fast.hpp").is_file()
    assert (Path(dsb_fast.get_cmake_dir()) / "dsb_fastConfig.cmake").is_file()
    assert library().c.dsb_version().decode() == dsb_fast.__version__


@pytest.mark.variant_independent
def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr("dsb_fast._embedding._PREFIX", "/nowhere")
    for function in (dsb_fast.get_include, dsb_fast.get_library, dsb_fast.get_cmake_dir):
        with pytest.raises(dsb_fast.MissingDependencyError, match="ONNXRUNTIME_INCLUDE_DIR"):
            function()

"""Floors, peaks, and what is generated from results: README's table is that of the committed results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dsb_fast._library import has_library

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
pytestmark = pytest.mark.variant_independent  # how kernels are measured, not what they make

_SMALL = """
import json, sys
sys.path.insert(0, {benchmarks!r})
from pathlib import Path
import gi_model
from cases import limits
limits.SHAPES = Path({shapes!r})
limits._SECONDS, limits._FLOATS, limits._BATCH = 0.0, 3 * 128 * 128, 2
gi_model.OPTIONS[:] = ["--image-size", "32", "--capacity", "4", "--latent-dim", "32"]
print(json.dumps(limits.measure(1)))
"""


def run(code: str, cwd) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_has_what_the_results_say(tmp_path):
    command = [sys.executable, BENCHMARKS / "tables.py", "--check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_floors_are_those_of_the_documented_algorithms(tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(BENCHMARKS)!r})
import cpu_floors as floors
print(floors.ecg().products, floors.layer(512, 512, 8, 1).products, floors.layer(512, 512, 4, 1).products,
      floors.up_layer(512, 512, 4, 1).products, floors.attention(64, 64, 1).products, floors.Floor(5, 8).seconds(10, 4))
"""
    ecg, large, small, up, attention, seconds = map(float, run(code, tmp_path).split())
    assert ecg == pytest.approx(43.0e6, rel=1e-3)  # the sum of the table in docs/kernels.md
    assert large == 36 * 4 * 512**2 and small == 16 * 4 * 512**2 and up == 25 * 4 * 512**2
    assert attention == 64**2 * (8 * 64 * 4 * 64 + 4 * 64**2)
    assert seconds == 2e-9  # eight bytes at 4 GB/s, longer than ten operations at 10 GFLOP/s


@pytest.mark.skipif(not has_library(), reason="ONNX Runtime's C headers were not here, so its operators are not built")
def test_every_kernel_is_measured_against_its_floor(tmp_path):
    (tmp_path / "shapes").mkdir()
    layer = {"in": 3, "out": 5, "size": 8}
    for name, shape in (
        ("gi_layers", layer),
        ("up_layers", layer),
        ("attention", {"channels": 16, "size": 8}),
        ("upfirdn2d", {"kind": "up 2", "batch": 1, "channels": 3, "size": 8}),
    ):
        (tmp_path / "shapes" / f"{name}.json").write_text(json.dumps([shape]))
    found = json.loads(run(_SMALL.format(benchmarks=str(BENCHMARKS), shapes=str(tmp_path / "shapes")), tmp_path))
    groups = {kernel["group"] for kernel in found["kernels"]} - {"layers, bf16", "attention, bf16"}
    assert groups == {"networks", "layers", "up layers", "attention", "upfirdn2d", "passes"}
    assert all(kernel["share"]["median"] > 0 for kernel in found["kernels"])
    assert {"fma_f32_gflops", "L1_read_gbs", "L3_read_gbs", "copy_gbs"} <= set(found["peaks"])


def test_plots_are_made_from_results(tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(BENCHMARKS)!r})
from pathlib import Path
import plots, tables
print(*(path.name for path in plots.draw(tables.newest(), Path({str(tmp_path)!r}))))
"""
    names = run(code, tmp_path).split()
    assert {"ecg_network.svg", "gi_network.svg"} <= set(names)
    assert all((tmp_path / name).read_text().startswith("<?xml") for name in names)

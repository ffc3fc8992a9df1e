"""The C library that the package carries, the ONNX Runtime that it loads here, and models for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
from dsb_fast.export import onnx_file
from onnx import TensorProto, helper

import dsb_fast
from references import c_interface

CARD = {
    "leads": ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"], "length": 2500, "scale": 6000.0, "unit": "uV",
    "sampling_rate_hz": 500.0, "title": "a test", "licence": "none", "citation": "none", "source": "none",
}  # fmt: skip


def _prefix() -> Path | None:
    try:
        return Path(dsb_fast.get_library()).parent.parent
    except dsb_fast.MissingDependencyError:
        return None


def _onnxruntime() -> Path | None:
    spec = find_spec("onnxruntime")
    folder = Path(spec.origin).parent / "capi" if spec and spec.origin else None
    return folder if folder and list(folder.glob("libonnxruntime.so*")) else None


PREFIX, ONNXRUNTIME = _prefix(), _onnxruntime()
REASON = (
    "libdsb_fast.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)"
    if PREFIX is None
    else "this onnxruntime's wheel carries no libonnxruntime.so, which C programs need"
)
needs_library = pytest.mark.skipif(PREFIX is None or ONNXRUNTIME is None, reason=REASON)


@cache
def library() -> c_interface.Library:
    """The library, its ONNX Runtime found."""
    os.environ["DSB_ONNXRUNTIME_LIBRARY"] = str(ONNXRUNTIME)
    return c_interface.Library(dsb_fast.get_library())


def open_model(path, **options) -> c_interface.Model:
    """A model file through the C interface."""
    return library().open(path, **options)


def sealed(model: onnx.ModelProto, flavour: str = "portable", card: dict | str = CARD, **properties) -> bytes:
    """The bytes of an exported file whose digest fits, whatever it computes."""
    given = onnx_file.metadata("cardiovascular.ecg", flavour, "0" * 64, "none", "none", {})
    given["card"] = card if isinstance(card, str) else json.dumps(card)
    return onnx_file.serialise(model, {**given, **properties})[0]


def one_operator(op: str, leads: int = 8, length: int = 2500) -> onnx.ModelProto:
    """An "ECG network" that is one operator of standard ONNX from noise to signal."""
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", leads, length]) for n in ("noise", "signal")]
    graph = helper.make_graph([helper.make_node(op, ["noise"], ["signal"])], "pulse2pulse", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def in_another_process(code: str, *words, **environment) -> subprocess.CompletedProcess:
    """Python statements with ``c_interface`` at hand, in a process whose environment has no ONNX Runtime named."""
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
    start += f"from references import c_interface; library = c_interface.Library({dsb_fast.get_library()!r})\n"
    kept = {key: value for key, value in os.environ.items() if key != "DSB_ONNXRUNTIME_LIBRARY"}
    return subprocess.run(
        [sys.executable, "-c", start + code, *map(str, words)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

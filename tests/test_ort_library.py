"""The operator library in ONNX Runtime: the fused graph has the compiled network's bits, and refuses nonsense."""

from __future__ import annotations

import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from dsb_fast.export import onnx_file
from onnx import numpy_helper
from tolerances import ECG_EQUAL_SHARE, ECG_MORE_THAN_ONE_APART, ECG_SIGNAL

import dsb_fast
from dsb_fast import _fused, _kernels, ops, random
from dsb_fast._library import has_library
from dsb_fast._models.ecg_source import open_source

pytestmark = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)


@pytest.fixture(scope="module")
def source():
    return open_source(None)


@pytest.fixture(scope="module")
def graph(source) -> bytes:
    return source.build(5000, "fused").model


def _session(graph: bytes, threads: int = 1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.register_custom_ops_library(ops.library_path())
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def test_every_node_is_of_our_domain(graph):
    model = onnx.load_model_from_string(graph)
    assert {node.domain for node in model.graph.node} == {"dsb_fast"} and model.ir_version == 9
    assert {p.key: p.value for p in model.metadata_props}["flavour"] == "fused"


def test_golden_parity(graph, data):
    golden = np.load(data / "ecg/ecg.npz")
    assert np.abs(_session(graph).run(None, {"noise": golden["noise"]})[0] - golden["out"]).max() <= ECG_SIGNAL


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_are_those_of_the_compiled_network(graph, source, threads):
    noise = random.uniform(4, 0, 64, (8, 5000), low=-1.0, high=1.0)
    whole = _fused.compile_network(source.network).run(noise)
    session = _session(graph, threads)
    for batch in (1, 5, 16, 17, 64):
        parts = [session.run(None, {"noise": noise[k : k + batch]})[0] for k in range(0, 64, batch)]
        assert (np.concatenate(parts).view(np.int32) == whole.view(np.int32)).all(), batch
    assert session.run(None, {"noise": noise[:0]})[0].shape == (0, 8, 5000)


def test_load_runs_the_fused_graph_and_stays_within_the_contract(source, tmp_path):
    fused = dsb_fast.load("cardiovascular.ecg", device="cpu")
    assert fused.info["flavour"] == "fused" and fused.info["grade"] == "exact"
    assert set(fused.info["depends_on"]) == {"arithmetic"}
    source.export(tmp_path / "portable.onnx")
    portable = dsb_fast.load(tmp_path / "portable.onnx", device="cpu")
    assert portable.info["flavour"] == "portable" and portable.info["grade"] == "repeatable"
    difference = np.abs(fused.sample(60, seed=2).astype(int) - portable.sample(60, seed=2))
    assert (difference == 0).mean() >= ECG_EQUAL_SHARE
    assert (difference > 1).mean() <= ECG_MORE_THAN_ONE_APART


def test_exported_fused_file_is_a_model(source, tmp_path):
    source.export(tmp_path / "fused.onnx", "fused")
    other, ours = (
        dsb_fast.load(tmp_path / "fused.onnx", device="cpu"),
        dsb_fast.load("cardiovascular.ecg", device="cpu"),
    )
    assert (other.info["backend"], other.info["grade"]) == ("onnxruntime-cpu", ours.info["grade"])
    assert (other.sample(3, seed=1) == ours.sample(3, seed=1)).all()
    assert other.graph_sha256 == source.graph(5000, "fused").sha256
    with pytest.raises(dsb_fast.DeviceError, match="fused"):
        dsb_fast.load(tmp_path / "fused.onnx", device="openvino")


def _changed(graph: bytes, change) -> bytes:
    model = onnx.load_model_from_string(graph)
    change(model.graph)
    kept = {p.key: p.value for p in model.metadata_props if p.key != "graph_sha256"}
    return onnx_file.serialise(model, kept)[0]


def _set(name, values):
    def change(g):
        attribute = next(a for a in g.node[0].attribute if a.name == name)
        attribute.CopyFrom(onnx.helper.make_attribute(name, values))

    return change


def _shape(index, *shape):
    return lambda g: g.initializer[index].CopyFrom(
        numpy_helper.from_array(np.zeros(shape, np.float32), g.initializer[index].name)
    )


@pytest.mark.parametrize(
    "change",
    [
        _set("strides", [2] * 11), _set("strides", [0] * 12), _set("strides", [1 << 40] * 12),
        _set("repetitions", [1 << 40] * 12), _set("padding", 1 << 50), _set("padding", -1),
        _shape(0, 10, 8), _shape(0, 10, 9, 25), _shape(0, 11, 8, 25), _shape(1, 9), _shape(2, 25, 11, 25),
        lambda g: g.node[0].input.pop(),
        lambda g: g.node[0].attribute.pop(),
    ],
)  # fmt: skip
def test_graphs_that_lie_are_refused_in_one_line(graph, tmp_path, change):
    (tmp_path / "x.onnx").write_bytes(_changed(graph, change))
    with pytest.raises(dsb_fast.DsbError) as raised:
        dsb_fast.load(tmp_path / "x.onnx", device="cpu").sample(1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shape", [(1, 8, 4999), (1, 8, 0), (1, 7, 5000)])
def test_wrong_noise_is_an_error_of_the_session(graph, shape):
    model = onnx.load_model_from_string(graph)
    for value in (model.graph.input[0], model.graph.output[0]):
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()  # any shape: the operator itself has to look
    session = _session(model.SerializeToString())
    with pytest.raises(Exception, match=r"Pulse2Pulse|pulse2pulse"):
        session.run(None, {"noise": np.zeros(shape, np.float32)})


@pytest.mark.variant_independent
def test_library_exports_one_symbol():
    listing = subprocess.check_output(["nm", "-D", "--defined-only", ops.library_path()], text=True)
    assert [line.split()[-1] for line in listing.splitlines()] == ["RegisterCustomOps"]


def test_library_path_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("dsb_fast._library._PATH", "/nowhere")
    with pytest.raises(dsb_fast.MissingDependencyError, match="ONNXRUNTIME_INCLUDE_DIR"):
        ops.library_path()

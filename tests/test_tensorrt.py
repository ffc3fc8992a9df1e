"""The TensorRT provider's backend without one: its options, its engines' folders, and what stands in for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from references import cuda_runtime, images

import dsb_fast
from dsb_fast import _backends
from dsb_fast._backends import tensorrt
from dsb_fast._backends.base import Device
from dsb_fast._models.card import NEAR

pytestmark = pytest.mark.variant_independent
ECG, TENSORRT, CUDA = "cardiovascular.ecg", "TensorrtExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path))


@pytest.fixture
def runtime(monkeypatch):
    return cuda_runtime.install(monkeypatch)


def _without(monkeypatch, device: str, reason: str) -> None:
    kind = next(backend for backend in _backends.BACKENDS if backend.device == device)
    monkeypatch.setattr(kind, "probe", classmethod(lambda cls: Device(device, False, False, "", reason)))


def test_what_the_provider_is_asked_for(runtime, tmp_path):
    engine = dsb_fast.load(ECG, device="tensorrt:1")
    [session] = runtime.sessions
    [(first, options), (second, rest)] = session.providers
    assert (first, second) == (TENSORRT, CUDA) and "NhwcConv" not in session.nodes
    folder = options["trt_engine_cache_path"]
    assert Path(folder).parent == tmp_path and os.path.isdir(folder)
    shapes = dict.fromkeys((f"trt_profile_{which}_shapes" for which in ("min", "opt", "max")), "noise:4x8x5000")
    assert options == {
        **shapes, "device_id": "1", "trt_engine_cache_enable": "1", "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1", "trt_timing_cache_path": folder, "trt_cuda_graph_enable": "1",
    }  # fmt: skip
    assert (rest["device_id"], rest["use_tf32"], rest["enable_cuda_graph"]) == ("1", "0", "0")
    assert engine.info["backend"] == "onnxruntime-tensorrt" and engine.info["depends_on"]["tensorrt"] == "10.9"


def test_numbers_that_samples_share_have_no_profile(runtime, data):
    dsb_fast.load(images.folder(data, "plain32"), device="tensorrt").sample(1)
    [(_, options), _] = runtime.sessions[0].providers
    assert options["trt_profile_opt_shapes"] == "z:4x48,noise:4x32x32"


def test_samples_are_the_cpus(runtime, generator):
    made, expected = dsb_fast.load(ECG, device="tensorrt").sample(5, seed=2), generator.sample(5, seed=2)
    assert NEAR["fp32"].refusal(made, expected) is None


def _folder(rows=64, precision="fp32", number=0, graph=b"graph") -> str:
    return tensorrt.engine_folder(graph, precision, rows, number)


def test_engines_of_other_weights_gpus_and_versions_have_another_folder(runtime, monkeypatch):
    folders = [_folder(), _folder(8), _folder(precision="fp16"), _folder(number=1), _folder(graph=b"other")]
    monkeypatch.setattr(tensorrt, "tensorrt_version", lambda: "10.10")
    folders.append(_folder())
    runtime.__version__ = "2.0"
    folders.append(_folder())
    assert len(set(folders)) == len(folders) and _folder() == folders[-1]


def test_a_graph_in_the_cache_is_known_by_its_weights(runtime, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"graph")
    names = []
    for weights in (b"one", b"two"):
        (tmp_path / "a.weights").write_bytes(weights)
        names.append(_folder(graph=str(tmp_path / "a.onnx")))
    assert names[0] != names[1]


def test_an_engine_that_is_refused_is_built_anew(monkeypatch):
    def refuse(name, options):
        path = Path(options.get("trt_engine_cache_path", "/nowhere"), "stale.engine")
        return "the engine was built by another version" if path.exists() else None

    runtime = cuda_runtime.install(monkeypatch, refuse=refuse)
    dsb_fast.load(ECG, device="tensorrt")
    folder = runtime.sessions[0].options(TENSORRT)["trt_engine_cache_path"]
    Path(folder, "stale.engine").write_bytes(b"old")
    dsb_fast.load(ECG, device="tensorrt")
    assert len(runtime.sessions) == 2 and not os.listdir(folder)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_lower_precisions_are_the_builders(runtime, data, monkeypatch, precision):
    monkeypatch.setattr("dsb_fast._models.acceptance.COUNT", 8)
    low = dsb_fast.load(images.folder(data, "plain32"), device="tensorrt", precision=precision)
    options = [session.options(TENSORRT) for session in runtime.sessions]
    assert options[0][f"trt_{precision}_enable"] == "1" and f"trt_{precision}_enable" not in options[1]  # the reference
    assert low.flavour == "portable" and low.info["precision"] == precision


def test_a_builder_that_fails_leaves_it_to_cuda_and_says_why(monkeypatch, caplog):
    cuda_runtime.install(monkeypatch, refuse=lambda name, _: "no tactic for Conv_3" if name == TENSORRT else None)
    assert dsb_fast.load(ECG, device="tensorrt:1").info["backend"] == "onnxruntime-cuda"
    message = "device tensorrt: ONNX Runtime refused the graph: no tactic for Conv_3; going on with cuda"
    assert [record.message for record in caplog.records if record.name == "dsb_fast"] == [message]


def test_without_tensorrt_cuda_stands_in_and_it_is_said(monkeypatch, caplog):
    cuda_runtime.install(monkeypatch, available=(CUDA,))
    assert dsb_fast.load(ECG, device="tensorrt").info["backend"] == "onnxruntime-cuda"
    [message] = [record.message for record in caplog.records if record.name == "dsb_fast"]
    assert message.startswith("device tensorrt: this onnxruntime has no TensorRT provider; ")
    assert message.endswith("going on with cuda")


def test_without_cuda_too_it_is_one_line(monkeypatch):
    cuda_runtime.install(monkeypatch)
    _without(monkeypatch, "tensorrt", "TensorRT is not installed; pip install tensorrt")
    _without(monkeypatch, "cuda", "no GPU")
    with pytest.raises(dsb_fast.DeviceError, match=r"^device tensorrt: TensorRT is not installed; pip install"):
        dsb_fast.load(ECG, device="tensorrt")


def test_bfloat16_has_no_stand_in(monkeypatch, data):
    cuda_runtime.install(monkeypatch, refuse=lambda name, _: "no" if name == TENSORRT else None)
    with pytest.raises(dsb_fast.DeviceError, match=r"^device tensorrt: ONNX Runtime refused"):
        dsb_fast.load(images.folder(data, "plain32"), device="tensorrt", precision="bf16")


def test_it_is_a_row_of_devices_that_auto_never_takes(runtime):
    row = next(row for row in dsb_fast.devices() if row["device"] == "tensorrt")
    assert row["available"] and not row["auto"] and "TensorRT 10.9" in row["detail"]
    assert dsb_fast.load(ECG, device="auto").info["backend"] == "onnxruntime-cuda"


def test_on_this_machine_the_reason_is_a_line():
    row = next(row for row in dsb_fast.devices() if row["device"] == "tensorrt")
    assert row["available"] or row["reason"]

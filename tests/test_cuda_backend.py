"""The CUDA provider's backend without a GPU: what it asks ONNX Runtime for, done by the CPU provider in its place."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from references import cuda_runtime, images
from references.arrays import identical

import dsb_fast
from dsb_fast import _backends, random
from dsb_fast._cli import main
from dsb_fast._models.card import NEAR
from dsb_fast._models.on_device import WholeNumbers

pytestmark = pytest.mark.variant_independent
ECG = "cardiovascular.ecg"


@pytest.fixture
def runtime(monkeypatch):
    return cuda_runtime.install(monkeypatch)


def _near(made, expected) -> None:
    assert made.shape == expected.shape and made.dtype == expected.dtype
    assert NEAR["fp32"].refusal(made, expected) is None


def test_ecgs_are_the_cpus_and_only_whole_numbers_cross_the_bus(runtime, generator):
    gpu = dsb_fast.load(ECG, device="cuda")
    expected = generator.sample(11, seed=7, start=3)
    del runtime.from_host[:]
    made = gpu.sample(11, seed=7, start=3)
    _near(made, expected)
    assert (gpu.flavour, gpu.backend.name, gpu.info["grade"]) == ("cuda", "onnxruntime-cuda", "near")
    assert "note" not in gpu.info and gpu.info["depends_on"]["gpu"] == "NVIDIA Test 1"
    network, samples, draws = runtime.sessions
    assert "ToMicrovolt" in samples.nodes and "ToMicrovolt" not in network.nodes
    assert draws.nodes == {"PhiloxUniform"} and draws.runs == 3
    assert runtime.from_host == []
    identical(gpu.sample(2, seed=7, start=8, leads=12)[:, [0, 1, *range(6, 12)]], made[5:7])


def test_samples_do_not_depend_on_batches(runtime):
    gpu = dsb_fast.load(ECG, device="cuda")
    all_ = gpu.sample(9, seed=1, start=10)
    identical(np.concatenate(list(gpu.stream(9, seed=1, start=10, batch_size=5))), all_)
    identical(gpu.sample(3, seed=1, start=15), all_[5:8])
    noise = random.uniform(1, 10, 9, (8, 5000), 0, -1.0, 1.0)
    signal = gpu.run(noise=noise)["signal"]
    identical(gpu.run(noise=noise[6:7])["signal"], signal[6:7])
    assert gpu.run(noise=noise[:0])["signal"].shape == (0, 8, 5000)


def test_only_what_was_asked_for_is_copied_to_pinned_memory(monkeypatch, runtime):
    expected = dsb_fast.load(ECG, device="cuda").sample(6, seed=1)
    driver = cuda_runtime.HostDriver()
    cuda_runtime.install(monkeypatch, driver=lambda: driver)
    gpu = dsb_fast.load(ECG, device="cuda:1")
    identical(gpu.sample(6, seed=1), expected)
    sample = 8 * 5000 * 2
    assert sorted(driver.copies) == [2 * sample, 4 * sample] and {context for _, context in driver.entered} == {101}


def test_many_threads_on_two_batches(runtime):
    gpu = dsb_fast.load(ECG, device="cuda")
    options = gpu.model.options()
    expected = gpu.sample(12, seed=4)
    with ThreadPoolExecutor(6) as pool:
        parts = list(pool.map(lambda first: gpu.make(4, first, 2, options), range(0, 12, 2)))
    identical(np.concatenate(parts), expected)
    # A CUDA graph is the thread's that captured it.
    assert len(set().union(*(session.threads for session in runtime.sessions))) == 1


def test_a_dataset_says_what_it_was_made_with_and_what_it_waited_for(runtime, tmp_path, capsys):
    words = ["generate", ECG, "-n", "9", "-o", str(tmp_path / "set"), "--format", "npy", "--shard-size", "5"]
    assert main([*words, "--device", "cuda", "--quiet", "--stats"]) == 0
    manifest = json.loads((tmp_path / "set/dataset.json").read_text())
    said = {name: manifest[name] for name in ("backend", "flavour", "grade", "precision")}
    assert said == {"backend": "onnxruntime-cuda", "flavour": "cuda", "grade": "near", "precision": "fp32"}
    rows = capsys.readouterr().out.splitlines()
    assert {"generate", "device", "copy", "encode"} <= {row.split()[0] for row in rows}
    assert rows[-1].startswith("limited by ")
    assert main(["verify", str(tmp_path / "set"), "--sample", "4"]) == 0


def test_the_last_numbers(runtime, generator):
    gpu = dsb_fast.load(ECG, device="cuda")
    _near(gpu.sample(2, seed=2**64 - 1, start=2**64 - 2), generator.sample(2, seed=2**64 - 1, start=2**64 - 2))


def test_what_the_provider_is_asked_for(runtime):
    gpu = dsb_fast.load(ECG, device="cuda:1")
    network, session = runtime.sessions
    assert network.runs == 0 and session.options() == {
        "device_id": "1", "use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1", "enable_cuda_graph": "1",
    }  # fmt: skip
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
    assert runtime.graphs == ["1", "2"] and session.runs == 2  # captured before anybody waits for it
    assert set(runtime.buffers) == {("cuda", 1)} and session.libraries
    assert gpu.info["depends_on"]["gpu"] == "NVIDIA Test 2"
    gpu.sample(1)
    assert [s.options()["enable_cuda_graph"] for s in runtime.sessions] == ["1", "1", "0"]  # the last draws
    gpu.run(noise=np.zeros((1, 8, 5000), np.float32))
    assert network.runs == 3


def test_without_cuda_graphs(monkeypatch):
    runtime = cuda_runtime.install(
        monkeypatch, refuse=lambda _, options: "no" if options["enable_cuda_graph"] == "1" else None
    )
    dsb_fast.load(ECG, device="cuda").sample(1)
    assert not runtime.graphs and {s.options()["enable_cuda_graph"] for s in runtime.sessions} == {"0"}


def test_without_our_operators_the_portable_graph_runs_and_it_is_said(monkeypatch, generator):
    runtime = cuda_runtime.install(monkeypatch, library=False)
    gpu = dsb_fast.load(ECG, device="cuda")
    assert gpu.flavour == "portable" and "libdsb_fast_ort_cuda.so" in gpu.info["note"]
    _near(gpu.sample(3, seed=5), generator.sample(3, seed=5))
    assert not runtime.sessions[0].libraries
    with pytest.raises(dsb_fast.DeviceError, match=r"^precision fp16: this network has it on a GPU"):
        dsb_fast.load(ECG, device="cuda", precision="fp16")


def test_operators_that_do_not_load_are_reported(monkeypatch, caplog, generator):
    runtime = cuda_runtime.install(monkeypatch)

    def no_library(self, path):
        raise RuntimeError("undefined symbol: cudaLaunchKernel")

    monkeypatch.setattr(runtime.SessionOptions, "register_custom_ops_library", no_library)
    gpu = dsb_fast.load(ECG, device="cuda")
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "undefined symbol" in record.message and record.message.endswith("going on with its portable graph")
    assert gpu.flavour == "portable"


def test_a_provider_that_does_not_start(monkeypatch, caplog):
    cuda_runtime.install(monkeypatch, starts=False)
    with pytest.raises(dsb_fast.DeviceError, match=r"^device cuda:0: its provider could not start \(it needs CUDA 13"):
        dsb_fast.load(ECG, device="cuda")
    caplog.clear()
    assert dsb_fast.load(ECG, device="auto").backend.device == "cpu"
    assert caplog.records[-1].message.endswith("going on with cpu")


def test_a_gpu_that_runs_nothing(monkeypatch, caplog):
    cuda_runtime.install(monkeypatch, broken="no kernel image is available for execution on the device")
    assert dsb_fast.load(ECG, device="auto").backend.device == "cpu"
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    after = [f"going on with {what}" for what in ("its portable graph", "cpu")]
    assert [message.rpartition("; ")[2] for message in said] == after
    assert all("no kernel image" in message for message in said)


def test_rows_of_a_call_follow_the_size_of_a_sample(monkeypatch):
    from dsb_fast._backends.cuda import rows_of

    assert rows_of([(8, 5000), ()]) == 256 and rows_of([(8, 50000)]) == 25 and rows_of([(128, 128, 3)]) == 64
    assert rows_of([(512, 512, 3)]) == 5 and rows_of([(2048, 2048, 3)]) == 1


@pytest.mark.parametrize("options", [{}, {"truncation": 0.4}, {"mixing": True}])
def test_stylegan2_pytorchs_images(runtime, data, options):
    folder = images.folder(data, "attn64")
    cpu, gpu = (dsb_fast.load(str(folder), device=device) for device in ("cpu", "cuda"))
    _near(gpu.sample(5, seed=3, **options), cpu.sample(5, seed=3, **options))
    identical(gpu.sample(2, seed=3, start=3, **options), gpu.sample(5, seed=3, **options)[3:])


@pytest.mark.parametrize(
    "options", [{}, {"noise": "random"}, {"noise": "none", "label": 1}, {"truncation_cutoff": 2, "truncation": 0.5}]
)
def test_nvidias_images(runtime, data, options):
    path = str(data / "nvlabs/ada64_cond_resnet.pkl")
    cpu, gpu = (dsb_fast.load(path, device=device) for device in ("cpu", "cuda"))
    _near(gpu.sample(5, seed=3, **options), cpu.sample(5, seed=3, **options))


def test_float16_passes_the_acceptance_test(runtime, data, monkeypatch):
    monkeypatch.setattr("dsb_fast._models.acceptance.COUNT", 8)
    cpu = dsb_fast.load(images.folder(data, "plain32"), device="cpu")
    half = dsb_fast.load(images.folder(data, "plain32"), device="cuda", precision="fp16")
    assert half.flavour == "cuda" and NEAR["fp16"].refusal(half.sample(4), cpu.sample(4)) is None


def test_ecgs_in_float16(runtime, monkeypatch):
    monkeypatch.setattr("dsb_fast._models.acceptance.COUNT", 8)
    half = dsb_fast.load(ECG, device="cuda", precision="fp16")
    assert (half.info["precision"], half.info["grade"], half.flavour) == ("fp16", "near", "cuda")


def test_weights_that_make_no_numbers(runtime, monkeypatch):
    gpu = dsb_fast.load(ECG, device="cuda")
    outputs = {"signal_uv": np.zeros((1, 8, 5000), np.int16), "not_numbers": np.array([3], np.int32)}
    monkeypatch.setattr(gpu.backend_of(WholeNumbers(gpu.model.key)), "sample", lambda *_: outputs)
    with pytest.raises(dsb_fast.GenerationError, match="values that are not numbers"):
        gpu.sample(1)


def test_devices_names_the_gpus(runtime):
    rows = {row.device: row for row in _backends.devices()}
    assert rows["cuda"].detail == "ONNX Runtime, CUDA provider, 0: NVIDIA Test 1, 80 GiB; 1: NVIDIA Test 2, 24 GiB"

"""backend="torch": the original packages' numbers, the other backends' samples, one sample however it is made."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from references import recorded_graph
from references.arrays import close, identical
from references.images import NAMES, golden
from references.nv_samples import GOLDEN
from tolerances import ECG_EQUAL_SHARE, ECG_SIGNAL, LUCID_IMAGE, NORMAL_ULP, OPS, STYLEGAN2_IMAGE

import dsb_fast
from dsb_fast import random
from dsb_fast._backends import pytorch
from dsb_fast._backends.base import Device
from dsb_fast._backends.pytorch import TorchCpuBackend, TorchCudaBackend
from dsb_fast._cli import main
from dsb_fast._errors import DeviceError, GenerationError
from dsb_fast._models.on_device import WholeNumbers
from dsb_fast._networks import philox

NVIDIA = [name for name in GOLDEN if name.startswith("nvlabs")]
ROSINALITY = [name for name in GOLDEN if name.startswith("rosinality")]
PLAIN = "lucid/models/plain32"
LAST = 2**64 - 1
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU on this machine")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small networks on a busy machine wait longer for a second thread than they gain by it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def few(monkeypatch):
    """Acceptance tests of fewer samples."""
    monkeypatch.setattr("dsb_fast._models.acceptance.COUNT", 8)


@pytest.fixture(scope="module")
def loaded(data):
    """The generator of a golden file on this backend, each opened once."""
    opened = {}

    def load(name, **how):
        key = name, *sorted(how.items())
        if key not in opened:
            path = name if name == "cardiovascular.ecg" else data / name
            opened[key] = dsb_fast.load(path, **{"device": "cpu", "backend": "torch", **how})
        return opened[key]

    return load


def alike(made, expected) -> None:
    """As the contract has it of two float32 backends."""
    apart = np.abs(made.astype(int) - expected)
    assert (apart == 0).mean() >= 0.995 and (apart > 1).mean() <= 1e-6, ((apart == 0).mean(), apart.max())


def _int64(number: int) -> torch.Tensor:
    return torch.from_numpy(np.array(number, np.uint64).view(np.int64))


@settings(deadline=None)
@given(st.integers(0, LAST), st.integers(0, LAST - 3), st.integers(1, 3), st.integers(1, 9), st.integers(0, 4))
@example(LAST, LAST - 3, 3, 6, 1)
@example(0, 2**32 - 1, 3, 5, 0)
def test_the_random_numbers(seed, start, count, elements, stream):
    where = _int64(seed), _int64(start), count, elements, stream
    low, high = np.float32(-1), np.float32(2.5)
    expected = random.uniform(seed, start, count, elements, stream, low, high)
    assert philox.uniform(*where, float(low), float(high)).numpy().tobytes() == expected.tobytes()
    expected = random.normal(seed, start, count, elements, stream)
    np.testing.assert_array_max_ulp(philox.normal(*where).numpy(), expected, NORMAL_ULP)


def test_golden_signal_and_integers(loaded, data):
    model, file = loaded("cardiovascular.ecg"), np.load(data / "ecg/ecg.npz")
    signal = model.run(noise=file["noise"])["signal"]
    assert signal.dtype == np.float32 and np.abs(signal - file["out"]).max() <= ECG_SIGNAL
    difference = np.abs(model.model.outputs({"signal": signal}, model.model.options()) - file["out_int"])
    assert (difference == 0).mean() >= ECG_EQUAL_SHARE and difference.max() <= 1


@pytest.mark.parametrize("name", ["bare_new_names", "netG_original_names"])
def test_other_sizes_and_lengths(loaded, data, name):
    facts, file = json.loads((data / f"ecgen/{name}.json").read_text()), np.load(data / f"ecgen/{name}.golden.npz")
    signal = loaded(f"ecgen/{name}.pt").run(noise=file["noise"])["signal"]
    assert np.abs(signal - file["out"] / facts["denorm"]).max() <= ECG_SIGNAL


@pytest.mark.parametrize("name", NAMES)
def test_golden_images_of_stylegan2_pytorch(loaded, data, name):
    file, model = golden(data, name), loaded(f"lucid/models/{name}")
    image = model.run(z=file["z"], noise=file["noise"])["image"]
    close(image, file["img_SE_raw_psi1"], LUCID_IMAGE)
    close(model.mapping(file["z"])[:, 0], file["w_SE"], OPS)
    close(model.synthesis(file["styles_SE"], file["noise"]), file["img_SE_raw"], LUCID_IMAGE)


@pytest.mark.parametrize("name", ["v160_attn32", "v180_attn32", "v184_attn32"])
def test_attention_of_other_versions(loaded, name):
    path = f"lucid/models/{name}"
    alike(loaded(path).sample(3, seed=5), loaded(path, backend="onnxruntime").sample(3, seed=5))


@pytest.mark.parametrize("name", NVIDIA)
def test_nvidias_golden_images(loaded, data, name):
    stem, model = data / name.rpartition(".")[0], loaded(name)
    file, said = np.load(f"{stem}.golden.npz"), json.loads(stem.with_suffix(".json").read_text())
    label = {"label": file["c"]} if file["c"].size else {}
    close(model.mapping(file["z"], *label.values()), file["ws"], OPS)
    for noise in ("const", "none"):
        close(model.synthesis(file["ws_trunc_cutoff"], noise), file[f"img_trunc_cutoff_{noise}"], STYLEGAN2_IMAGE)
    image = model.run(z=file["z"], **label, truncation_psi=said["truncation_psi"])["image"]
    close(image, file["img_trunc_all_const"], STYLEGAN2_IMAGE)


@pytest.mark.parametrize("name", ROSINALITY)
def test_rosinalitys_golden_images(loaded, data, name):
    model, file = loaded(name), np.load(data / f"{name.rpartition('.')[0]}.golden.npz")
    noise = [file[f"noise_{k}"] for k in range(len(model.info["noise_sizes"]))]
    close(model.synthesis(file["latent_trunc"], noise), file["img_trunc_given_noise"], STYLEGAN2_IMAGE)
    close(model.run(z=file["z"], truncation_psi=3)["image"], file["img_stored_noise"], STYLEGAN2_IMAGE)


SAMPLED = {
    PLAIN: [{}, {"mixing": True, "truncation": 0.6}],
    NVIDIA[-1]: [{"noise": "random", "truncation": 0.6}, {"truncation_cutoff": 3}, {"label": 1}],
    ROSINALITY[0]: [{"noise": "random", "truncation": 1.3}],
    "cardiovascular.ecg": [{"leads": 12}],
}


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_are_those_of_other_backends(loaded, name):
    for options in SAMPLED[name]:
        where = {"seed": 2**40 + 7, "start": 2**32 - 2}
        alike(
            loaded(name).sample(4, **where, **options),
            loaded(name, backend="onnxruntime").sample(4, **where, **options),
        )


@settings(deadline=None, max_examples=4)
@given(start=st.integers(0, 30), count=st.integers(1, 12), batch_size=st.integers(1, 12))
def test_a_sample_is_the_same_however_it_is_made(loaded, start, count, batch_size):
    for name in (PLAIN, NVIDIA[0]):
        model = loaded(name)
        if name not in _ALL:
            _ALL[name] = model.sample(45, seed=3)
        batches = list(model.stream(count, seed=3, start=start, batch_size=batch_size))
        assert np.concatenate(batches).tobytes() == _ALL[name][start : start + count].tobytes()


_ALL: dict[str, np.ndarray] = {}


@pytest.mark.parametrize("name", [PLAIN, NVIDIA[0]])
def test_float16_where_it_is_near_enough(loaded, few, name):
    lower = loaded(name, precision="fp16")
    apart = np.abs(lower.sample(16, seed=9).astype(int) - loaded(name).sample(16, seed=9))
    assert apart.any() and (apart > 2).mean() <= 0.01
    assert (lower.info["precision"], lower.info["grade"], lower.backend.name) == ("fp16", "near", "torch-cpu")


def test_what_fails_the_acceptance_test_is_refused(loaded, few):
    for precision in ("fp16", "bf16"):
        with pytest.raises(DeviceError, match=f"precision {precision}: cardiovascular.ecg fails its acceptance test"):
            loaded("cardiovascular.ecg", precision=precision)
    with pytest.raises(DeviceError, match="% of values are more than 2 from float32's"):
        loaded("lucid/models/attn64", precision="bf16")


def test_the_command_shows_what_runs(data, capsys):
    assert main(["info", str(data / PLAIN), "--device", "cpu", "--backend", "torch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backend"] == "torch-cpu"
    assert main(["info", "cardiovascular.ecg", "--backend", "native", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backend"] == "native"


def test_info_and_digest(loaded):
    info = loaded(PLAIN).info
    assert (info["backend"], info["flavour"], info["grade"]) == ("torch-cpu", "torch", "near")
    assert info["depends_on"] == {"torch": torch.__version__}
    assert loaded(PLAIN).graph_sha256 != loaded(PLAIN, network="plain").graph_sha256


@pytest.mark.parametrize(
    "how, message",
    [
        (
            {"backend": "tensorflow"},
            "backend: 'tensorflow' is not known; there are auto, native, onnxruntime, openvino, torch",
        ),
        ({"device": "openvino"}, "backend torch: it has no device 'openvino'; there are auto, cuda, cpu"),
        ({"device": "cpu:1"}, "backend torch: it has no device 'cpu:1'; there are auto, cuda, cpu"),
        ({"backend": "native", "precision": "bf16"}, "precision bf16: backend native runs fp32"),
        ({"backend": "native"}, "backend native: it can't run {}; backend auto takes one that can"),
    ],
)
def test_what_can_not_be_had_is_one_line(data, how, message):
    path = data / PLAIN
    with pytest.raises(DeviceError) as error:
        dsb_fast.load(path, **{"device": "cpu", "backend": "torch", **how})
    known = str(error.value).replace("auto, onnxruntime, native", "auto, native, onnxruntime")
    assert known == message.format(path / "model_7.pt")


def test_an_exported_file_is_no_description(data, tmp_path):
    dsb_fast.load(data / PLAIN, device="cpu").model.export(str(tmp_path / "plain.onnx"))
    with pytest.raises(
        DeviceError, match=r"backend torch: it can't run .*plain\.onnx; backend auto takes one that can"
    ):
        dsb_fast.load(tmp_path / "plain.onnx", device="cpu", backend="torch")


def test_without_torch(data, tmp_path):
    """Nothing but this backend imports torch, and it says what would bring it."""
    code = f"""
import sys
sys.modules["torch"] = None
import dsb_fast
print(dsb_fast.load({str(data / PLAIN)!r}, device="cpu").sample(1).shape)
from dsb_fast._cli import main
sys.exit(main(["generate", {str(data / PLAIN)!r}, "-n", "1", "-o", "out", "--device", "cpu", "--backend", "torch"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "(1, 32, 32, 3)\n"
    assert done.stderr == ("dsb-fast: backend torch: torch is not installed; pip install 'dsb-fast[torch]'\n")
    assert done.returncode == 2


def test_values_that_are_not_numbers(loaded):
    source = loaded(PLAIN).model.source
    described = source.description(WholeNumbers("whole"))
    mean = np.full_like(source.mean_style, np.nan)
    backend = TorchCpuBackend(described._replace(settings={**described.settings, "mean_style": mean}), "fp32", "")
    model = loaded(PLAIN).model
    with pytest.raises(GenerationError, match="values that are not numbers; the weights are unusable"):
        model.samples(lambda _: backend, 0, 0, 1, model.options())


def test_a_dataset_goes_on_and_is_verified(loaded, data, tmp_path, monkeypatch):
    """The manifest names the backend, and whoever reads it uses that again."""
    monkeypatch.chdir(tmp_path)
    words = [str(data / PLAIN), "-o", "out", "--device", "cpu", "--backend", "torch", "--format", "npy"]
    words += ["--shard-size", "4", "--quiet"]
    assert main(["generate", *words, "-n", "6"]) == 0
    said = json.loads((tmp_path / "out/dataset.json").read_text())
    assert (said["backend"], said["flavour"], said["grade"]) == ("torch-cpu", "torch", "near")
    assert main(["generate", *words, "-n", "10", "--extend"]) == 0
    assert main(["verify", "out", "--sample", "3", "--checkpoint", str(data / PLAIN), "--quiet"]) == 0
    expected = loaded(PLAIN).sample(10)
    made = np.concatenate([np.load(path) for path in sorted((tmp_path / "out").glob("*.npy"))])
    assert made.tobytes() == expected.tobytes()


@pytest.fixture
def recorded(monkeypatch):
    """A CUDA device on the CPU: what is captured there is recorded, and run again with what Python had decided."""
    recorded_graph.stand_in(monkeypatch)
    monkeypatch.setattr("dsb_fast._kernels.native", None)  # its operators are nothing that torch could record
    monkeypatch.delenv("DSB_FORCE_VARIANT", raising=False)  # which needs the extension
    monkeypatch.setattr(TorchCudaBackend, "_checked", lambda *_: torch.device("cpu"))
    monkeypatch.setattr(TorchCudaBackend, "probe", lambda: Device("cuda", True, False, "recorded"))
    recorded_graph.Graph.captured = recorded_graph.Graph.replays = 0
    return recorded_graph.Graph


@pytest.mark.parametrize("name", [*SAMPLED, "lucid/models/attn64"])
def test_a_captured_graph_follows_its_inputs(data, recorded, monkeypatch, name):
    """Seed, start, truncation and labels are read when a graph runs, not when it is captured."""
    for most in (pytorch._SIGNALS, pytorch._MOST):
        monkeypatch.setitem(most, "cuda", 2)
    path = name if name == "cardiovascular.ecg" else data / name
    captured = dsb_fast.load(path, device="cuda", backend="torch")
    eager = dsb_fast.load(path, device="cpu", backend="torch")
    options = [{"leads": 12}, {"leads": 8}] if name == "cardiovascular.ecg" else [{"truncation": 0.5}, {}]
    for k, how in enumerate(options):
        where = {"seed": 2**63 + k, "start": 2**32 - 2 + k}
        alike(captured.sample(3, **where, **how), eager.sample(3, **where, **how))
    assert recorded.captured == 2 and recorded.replays == 4  # two programs, and two batches of each call


class _Kernels:
    """As the compiled module draws."""

    def __init__(self):
        self.calls = 0

    def philox_uniform(self, seed, start, count, shape, *, numbers, low, span, device, out, stream):
        self.calls += 1
        drawn = random.uniform(seed, start, count, shape, numbers, low, low + span)
        out.copy_(torch.from_numpy(drawn))

    def philox_normal(self, seed, start, count, shape, *, numbers, device, out, stream):
        self.calls += 1
        out.copy_(torch.from_numpy(random.normal(seed, start, count, shape, numbers)))


@pytest.mark.parametrize("name", [PLAIN, "cardiovascular.ecg"])
def test_the_compiled_kernels_draw_where_they_are_built(data, loaded, recorded, monkeypatch, name):
    kernels = _Kernels()
    monkeypatch.setattr("dsb_fast.ops._device.module", lambda: kernels)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=0))
    for most in (pytorch._SIGNALS, pytorch._MOST):
        monkeypatch.setitem(most, "cuda", 2)
    path = name if name == "cardiovascular.ecg" else data / name
    captured = dsb_fast.load(path, device="cuda", backend="torch")
    where = {"seed": 2**63 + 5, "start": 2**32 - 2}
    alike(captured.sample(3, **where), loaded(name).sample(3, **where))
    assert kernels.calls == 2 * (1 if name == "cardiovascular.ecg" else 2)


def test_raw_networks_on_captured_graphs(data, recorded):
    captured = dsb_fast.load(data / PLAIN, device="cuda", backend="torch")
    eager = dsb_fast.load(data / PLAIN, device="cpu", backend="torch")
    for seed in (1, 2):
        z = np.random.default_rng(seed).standard_normal((3, 48), np.float32)
        identical(captured.mapping(z), eager.mapping(z))


def test_what_can_not_be_captured_runs_without(data, recorded, monkeypatch, caplog):
    @contextlib.contextmanager
    def refuse(*_, **__):
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    model = dsb_fast.load(data / PLAIN, device="cuda", backend="torch")
    alike(model.sample(2, seed=8), dsb_fast.load(data / PLAIN, device="cpu", backend="torch").sample(2, seed=8))
    assert recorded.replays == 0
    assert "no CUDA graph, slower without: operation not permitted when stream is capturing" in caplog.text


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="backend torch: torch finds no CUDA GPU, or was built without CUDA"):
        dsb_fast.load("cardiovascular.ecg", device="cuda", backend="torch")
    assert dsb_fast.load("cardiovascular.ecg", device="auto", backend="torch").backend.device == "cpu"


@needs_gpu
@pytest.mark.parametrize("name", [*SAMPLED, "lucid/models/attn64"])
def test_a_gpu(loaded, name):
    on_gpu, on_cpu = loaded(name, device="cuda"), loaded(name)
    made = on_gpu.sample(20, seed=4)
    alike(made, on_cpu.sample(20, seed=4))
    assert on_gpu.sample(7, seed=4, start=9).tobytes() == made[9:16].tobytes()

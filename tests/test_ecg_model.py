"""The ECG network: golden parity, statistics against float64, every checkpoint layout, errors that name all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as f
from dsb_fast.export import ecg as export_program
from dsb_fast.export import ecg_graph, pulse2pulse, reference, torch_file
from hypothesis import given, settings
from hypothesis import strategies as st
from references.make_checkpoint import state_dict
from tolerances import ECG_EQUAL_SHARE, ECG_MORE_THAN_ONE_APART, ECG_POOLED_RMS, ECG_SIGNAL

import dsb_fast
from dsb_fast import random
from dsb_fast._models import ecg_source as ecg


def _enlarged(x, weight, bias, up):
    """Every point ``up`` times, twelve zeros at either end, a convolution."""
    return f.conv1d(f.pad(x.repeat_interleave(up, 2), (12, 12)), weight, bias)


def _by_phases(x, weight, bias, up):
    """The same sums in a third of the time: taps that meet the same point are added up first."""
    first, last = -12 // up, (24 - 12 + up - 1) // up
    taps = torch.zeros(up, *weight.shape[:2], last - first + 1, dtype=weight.dtype)
    for phase in range(up):
        for k in range(25):
            taps[phase, ..., (phase + k - 12) // up - first] += weight[..., k]
    out = f.conv1d(f.pad(x, (-first, last)), taps.flatten(0, 1), bias.repeat(up))
    return out.unflatten(1, (up, -1)).movedim(1, 3).flatten(2)


def published_signal(state: dict[str, torch.Tensor], noise: np.ndarray, enlarged=_enlarged) -> np.ndarray:
    """The published network in float64 torch, written out from the description, sharing no code with the package."""
    p = {name: tensor.double() for name, tensor in state.items()}
    with torch.inference_mode():
        x = torch.from_numpy(noise).double()
        skips = {}
        for k, stride in enumerate((2, 5, 2, 5, 5, 5), start=1):
            x = f.leaky_relu(f.conv1d(x, p[f"conv_{k}.weight"], p[f"conv_{k}.bias"], stride, 12), 0.01)
            skips[k] = x
        for k, up, skip in ((1, 5, 0), (2, 5, 5), (3, 5, 4), (5, 2, 3), (6, 5, 2), (7, 2, 0)):
            x = torch.cat((x, skips[skip]), 1) if skip else x
            x = enlarged(x, p[f"deconv_{k}.conv1d.weight"], p[f"deconv_{k}.conv1d.bias"], up)
            x = torch.tanh(x) if k == 7 else torch.relu(x)
    return x.numpy()


def _published_state():
    return torch.load(ecg.published_checkpoint(), map_location="cpu", weights_only=True)["stat_dict"]


def test_golden_signal_and_integers(generator, data):
    golden = np.load(data / "ecg/ecg.npz")
    signal = generator.run(noise=golden["noise"])["signal"]
    assert signal.dtype == np.float32 and signal.shape == (4, 8, 5000)
    assert np.abs(signal - golden["out"]).max() <= ECG_SIGNAL
    signal_uv = generator.model.outputs({"signal": signal}, generator.model.options())
    difference = np.abs(signal_uv.astype(int) - golden["out_int"])
    assert (difference == 0).mean() >= ECG_EQUAL_SHARE and difference.max() <= 1


def test_thousand_samples_against_float64(generator):
    """Samples 0 to 999 of seed 0: pooled rms, and whole microvolts."""
    state = _published_state()

    def block(start):
        noise = random.uniform(0, start, 50, (8, 5000), low=-1.0, high=1.0)
        exact = published_signal(state, noise, _by_phases)
        if not start:
            assert np.abs(exact[:2] - published_signal(state, noise[:2])).max() <= 1e-12
        signal = generator.run(noise=noise)["signal"]
        difference = np.abs(generator.sample(50, start=start).astype(int) - np.trunc(exact * 6000.0).astype(int))
        apart = int((difference > 1).sum())
        assert generator.flavour != "fused" or start >= 100 or not apart
        return float(((signal - exact) ** 2).sum()), exact.size, int((difference > 0).sum()), apart

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        square, count, unequal, apart = map(sum, zip(*pool.map(block, range(0, 1000, 50)), strict=True))
    rms = (square / count) ** 0.5
    print(f"pooled rms {rms:.2e}, unequal {unequal / count:.2e}, more than 1 apart {apart / count:.1e}")
    assert rms <= ECG_POOLED_RMS
    assert unequal / count <= 1 - ECG_EQUAL_SHARE
    assert apart / count <= ECG_MORE_THAN_ONE_APART


@pytest.mark.parametrize("name", ["bare_new_names", "netG_original_names", "state_dict_new_names"])
def test_ecgen_checkpoints(name, data):
    facts, golden = json.loads((data / f"ecgen/{name}.json").read_text()), np.load(data / f"ecgen/{name}.golden.npz")
    card = {"length": facts["seq_length"]}
    generator = dsb_fast.load(data / f"ecgen/{name}.pt", device="cpu", card=card)
    assert generator.info["licence"] == "unknown" and generator.info["citation"] == "unknown"
    signal = generator.run(noise=golden["noise"])["signal"]
    assert np.abs(signal - golden["out"] / facts["denorm"]).max() <= ECG_SIGNAL
    assert generator.sample(2).shape == (2, 8, facts["seq_length"])


def _load(tmp_path, value, card=None, zipped=True):
    path = tmp_path / "net.pt"
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return dsb_fast.load(path, device="cpu", card=card)


ORIGINAL = {"conv1d_transpose": "Conv1dTrans", "post_proc_filter": "ppfilter1"}


@pytest.mark.parametrize("layout", ["netG_state_dict", "state_dict", "stat_dict", None])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("original", [False, True])
def test_every_layout_prefix_and_spelling(tmp_path, layout, prefix, original):
    state = state_dict(6)
    named = {prefix + key: value for key, value in state.items()}
    for extra, shape in (
        ("post_proc_filter.weight", (8, 8, 5)),
        ("deconv_2.conv1d_transpose.bias", (18,)),
        ("fc1.bias", (9,)),
    ):
        for new, old in ORIGINAL.items():
            extra = extra.replace(new, old) if original else extra  # noqa: PLW2901
        named[prefix + extra] = torch.full(shape, float("nan"))  # never used, so never looked at
    generator = _load(tmp_path, {layout: named, "epoch": 3} if layout else named, {"length": 2500}, zipped=not original)
    noise = random.uniform(1, 0, 2, (8, 2500), low=-1.0, high=1.0)
    assert np.abs(generator.run(noise=noise)["signal"] - published_signal(state, noise)).max() <= 1e-5


@given(
    st.sampled_from([5, 6, 7, 10, 13]),
    st.sampled_from([1, 3, 8, 12]),
    st.sampled_from([2500, 5000, 7500, 12500]),
    st.sampled_from([1, 2, 5]),
)
@settings(max_examples=12, deadline=None)
def test_any_model_size_leads_and_length(model_size, leads, length, batch):
    state = state_dict(model_size, leads, seed=model_size)
    tree = {k: torch_file.Tensor(_storage(v), 0, tuple(v.shape), v.stride()) for k, v in state.items()}
    network = pulse2pulse.from_tree(tree)
    assert (network.model_size, network.leads) == (model_size, leads)
    graph = ecg_graph.build(network, length)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    noise = random.uniform(2, 0, batch, (leads, length), low=-1.0, high=1.0)
    exact = published_signal(state, noise)
    assert np.abs(session.run(None, {"noise": noise})[0] - exact).max() <= 1e-5
    assert np.abs(reference.signal(network, noise) - exact).max() <= 1e-12


def _storage(tensor):
    return torch_file.Storage("0", "f4", tensor.numel(), lambda: tensor.contiguous().numpy().tobytes())


def test_portable_graph_is_portable(generator):
    model = onnx.load_model_from_string(generator.model.source.build(5000).model)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 9 and [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["weights_sha256"] == ecg.PUBLISHED_SHA256 and properties["licence"] == "MIT"
    assert properties["model"] == "cardiovascular.ecg" and properties["flavour"] == "portable"
    assert "10.1038/s41598-021-01295-2" in properties["citation"] and "synthetic" in properties["synthetic"]


def test_fewer_multiplications_than_published():
    """Polyphase and the two matrices: at most 115 million a sample, 313 million as published."""
    network = pulse2pulse.from_tree(torch_file.load(ecg.published_checkpoint())[0])
    model = onnx.shape_inference.infer_shapes(ecg_graph.build(network, 5000))
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info}
    weights = {t.name: t.dims for t in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += int(np.prod(weights[node.input[1]])) * shapes[node.output[0]][2]
        elif node.op_type == "Gemm":
            total += int(np.prod(weights[node.input[1]]))
    assert 100e6 < total < 118e6, total


def test_all_that_is_wrong_is_in_one_line(tmp_path):
    state = state_dict(6)
    del state["conv_2.weight"]
    state["conv_4.bias"] = torch.zeros(5)
    state["deconv_3.conv1d.weight"][0, 0, 0] = float("nan")
    state["deconv_7.conv1d.bias"][1] = float("inf")
    state["conv_5.bias"] = state["conv_5.bias"].long()
    state["discriminator.weight"] = torch.zeros(3)
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        _load(tmp_path, state)
    line = str(raised.value)
    for part in (
        "conv_2.weight is missing", "conv_4.bias is [5], needs [18]", "deconv_3.conv1d.weight has values",
        "deconv_7.conv1d.bias has values", "conv_5.bias is not floating", "discriminator.weight is not part",
    ):  # fmt: skip
        assert part in line, line
    assert "\n" not in line


@pytest.mark.parametrize(
    "value", [[1, 2], {"a": 1}, {"state_dict": 5}, {"conv_1.weight": torch.zeros(3)}, torch.zeros(2)]
)
def test_what_is_no_generator_is_refused(tmp_path, value):
    with pytest.raises(dsb_fast.CheckpointError, match=r"Pulse2Pulse|state dict"):
        _load(tmp_path, value)


def test_card_says_what_a_checkpoint_does_not(tmp_path):
    generator = _load(tmp_path, state_dict(6))
    assert generator.info["assumed"] == ["length", "scale", "unit", "sampling_rate_hz"]
    card = {
        "length": 2500,
        "scale": 1.5,
        "unit": "mV",
        "sampling_rate_hz": 250,
        "leads": list("ABCDEFGH"),
        "licence": "CC0",
    }
    generator = _load(tmp_path, state_dict(6), card)
    info = generator.info
    assert info["assumed"] == [] and info["duration_s"] == 10.0 and info["leads"] == list("ABCDEFGH")
    assert info["licence"] == "CC0" and info["citation"] == "unknown"
    noise = random.uniform(9, 0, 1, (8, 2500), low=-1.0, high=1.0)
    expected = np.trunc(generator.run(noise=noise)["signal"] * np.float32(1500)).astype(np.int16)
    assert (generator.sample(1, seed=9) == expected).all()
    with pytest.raises(dsb_fast.InputError, match="leads"):
        generator.sample(1, leads=12)  # these eight are not I, II, V1..V6


def test_card_beside_the_checkpoint_is_read(tmp_path):
    (tmp_path / "net.pt.card.json").write_text(json.dumps({"length": 7500, "scale": 100.0}))
    generator = _load(tmp_path, state_dict(6), {"scale": 200.0})
    assert generator.info["length"] == 7500 and generator.info["scale"] == 200.0


@pytest.mark.parametrize(
    "card",
    [
        {"length": 5001}, {"length": 0}, {"length": True}, {"length": 10**12}, {"unit": "V"}, {"scale": float("nan")},
        {"unit": ["uV"]}, {"scale": 10**400}, {"sampling_rate_hz": float("inf")},
        {"scale": -1}, {"scale": 40.0, "unit": "mV"}, {"sampling_rate_hz": 0}, {"leads": ["I"]}, {"leads": ["I"] * 8},
        {"leads": 5}, {"leads": ["a,b", *"BCDEFGH"]}, {"colour": "red"}, {"licence": 3}, {"leads": [[]] * 8},
    ],
)  # fmt: skip
def test_wrong_cards_are_refused(tmp_path, card):
    with pytest.raises(dsb_fast.InputError, match="model card"):
        _load(tmp_path, state_dict(6), card)


def test_weights_of_the_package_are_checked(tmp_path, monkeypatch):
    package = tmp_path / "deepfakeecg"
    (package / "checkpoints").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "checkpoints/g_stat.pt").write_bytes(b"\x80 not these")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(dsb_fast.CheckpointError, match="not the published weights"):
        dsb_fast.load("cardiovascular.ecg", device="cpu")


@pytest.mark.variant_independent
def test_export_program_checks_what_it_wrote_and_any_exported_file(tmp_path, monkeypatch, capsys):
    script = Path(__file__).parent.parent / "export/ecg.py"
    for program in (["-m", "dsb_fast.export.ecg"], [str(script)]):
        words = [sys.executable, *program, "-o", "ecg.onnx", "--samples", "2"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "worst error" in done.stdout, done.stderr
    monkeypatch.chdir(tmp_path)
    torch.save(state_dict(6), "net.pt")
    assert export_program.main(["-o", "ecg.onnx", "--check", "--samples", "2"]) == 0
    assert "written" not in capsys.readouterr().out
    assert export_program.main(["-o", "ecg.onnx", "--check", "--checkpoint", "net.pt"]) == 1  # not of these weights

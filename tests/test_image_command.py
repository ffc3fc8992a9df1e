"""Image models on the command line: datasets, exports, options that make sense for them, files that do not load."""

from __future__ import annotations

import json
import os

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from references import images
from references.images import FLAVOURS
from references.make_checkpoint import state_dict

import dsb_fast


@pytest.fixture(scope="module")
def rgba(data):
    return images.folder(data, "rgba_noconst32")


def test_generate_verify_and_again(process, one_line, rgba, tmp_path):
    arguments = ("generate", rgba, "-n", 5, "-o", "d", "--seed", 9, "--format", "npy", "--truncation", 0.6, "--mixing")
    done = process(*arguments, "--network", "plain", "--shard-size", 3, check=0)
    assert done.stdout == "" and done.stderr == ""
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    assert manifest["options"] == {"network": "plain", "truncation": 0.6, "mixing": True, "noise": "random"}
    assert (manifest["model"], manifest["sample_shape"]) == ("stylegan2-pytorch", [32, 32, 4])
    assert (manifest["unit"], manifest["sample_dtype"]) == ("grey level", "uint8")
    generator = dsb_fast.load(rgba, device="cpu", network="plain")
    expected = generator.sample(5, seed=9, truncation=0.6, mixing=True)
    stored = np.concatenate([np.load(tmp_path / f"d/{k:09d}.npy") for k in (0, 3)])
    assert (stored == expected).all()
    done = process("verify", "d", "--sample", 2, "--checkpoint", rgba, check=0)
    assert "5 samples" in done.stdout and "2 made again" in done.stdout
    assert "--checkpoint" in one_line(process("verify", "d", "--sample", 2), 2)
    assert "finished already" in process(*arguments, "--network", "plain", "--shard-size", 3, check=0).stderr
    assert process(*arguments, "--shard-size", 3).returncode == 2  # another network


def test_pictures_of_the_gitract_model(command, rgba, data, tmp_path):
    command("generate", "digestive.gitract", "--checkpoint", rgba, "-n", 2, "-o", "d", check=0)
    assert sorted(os.listdir(tmp_path / "d")) == ["0.png", "1.png", "dataset.json"]
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    assert manifest["model"] == "digestive.gitract" and manifest["options"]["truncation"] == 0.75
    command("verify", "d", "--sample", 1, "--checkpoint", rgba, check=0)
    from PIL import Image

    with Image.open(tmp_path / "d/1.png") as image:
        stored = np.asarray(image)
    assert (stored == dsb_fast.load(rgba, device="cpu").sample(1, start=1, truncation=0.75)[0]).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--leads", 8], "leads"), (["--label", 3], "not conditional"), (["--truncation-cutoff", 2], "cutoff"),
        (["--noise", "const"], "noise"), (["--noise", "loud"], "noise"), (["--truncation", "nan"], "truncation"),
        (["--truncation", "much"], "truncation"), (["--network", "best"], "network: 'best'"),
        (["--format", "asc"], "asc"), (["--time-column"], "time_column"), (["--card", "length=2500"], "length"),
        (["--card", "attn_layers=[4]"], "attn_layers"), (["--checkpoint", "other.pt"], "checkpoint"),
        (["--device", "abacus"], "abacus"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_for_it(command, one_line, rgba, tmp_path, arguments, word):
    assert word in one_line(command("generate", rgba, "-n", 1, "-o", "d", *arguments), 2)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "arguments", [["--truncation", 0.5], ["--mixing"], ["--label", 1], ["--noise", "random"], ["--network", "ema"]]
)
def test_options_that_make_no_sense_for_an_ecg(command, one_line, arguments):
    line = one_line(command("generate", "cardiovascular.ecg", "-n", 1, "-o", "d", *arguments), 2)
    assert arguments[0].strip("-") in line


def test_info_and_what_is_assumed(command, data, tmp_path):
    path = images.folder(data, "plain32")
    info = json.loads(command("info", path, "--json", "--device", "cpu", "--network", "plain", check=0).stdout)
    assert info == dsb_fast.load(path, device="cpu", network="plain").info
    (tmp_path / "model_7.pt").write_bytes((path / "model_7.pt").read_bytes())
    done = command("generate", "model_7.pt", "-n", 1, "-o", "d", "--format", "npy", check=0)
    assert "assumed: lr_mlp 0.1; --card sets them" in done.stderr and len(done.stderr.splitlines()) == 1
    done = command("generate", "model_7.pt", "-n", 1, "-o", "e", "--format", "npy", "--card", "lr_mlp=0.2", check=0)
    assert done.stderr == ""
    assert command("verify", "e", "--sample", 1, "--checkpoint", "model_7.pt").returncode == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_exported_file_makes_the_same_samples(command, rgba, tmp_path, flavour):
    command("export", rgba, "-o", "gi.onnx", "--flavour", flavour, "--network", "plain", "--noise", "input", check=0)
    checkpoint = images.generator(rgba, flavour, "plain")
    exported = dsb_fast.load(tmp_path / "gi.onnx", device="cpu")
    for key in ("network", "weights_sha256", "image_size", "flavour", "grade", "blocks", "lr_mlp", "inputs", "output"):
        assert exported.info[key] == checkpoint.info[key], key
    assert exported.graph_sha256 == checkpoint.graph_sha256
    for mixing in (False, True):
        assert (exported.sample(3, seed=2, mixing=mixing) == checkpoint.sample(3, seed=2, mixing=mixing)).all()
    z = dsb_fast.random.normal(1, 0, 2, 40)
    assert (exported.mapping(z) == checkpoint.mapping(z)).all()
    assert (exported.mean_style == checkpoint.mean_style).all()
    with pytest.raises(dsb_fast.InputError, match=r"network: .*gi\.onnx is the plain one"):
        dsb_fast.load(tmp_path / "gi.onnx", network="ema")
    with pytest.raises(dsb_fast.InputError, match="own model card"):
        dsb_fast.load(tmp_path / "gi.onnx", card={"lr_mlp": 0.1})
    command("generate", "gi.onnx", "-n", 2, "-o", "d", "--format", "npy", check=0)
    assert (np.load(tmp_path / "d/000000000.npy") == checkpoint.sample(2)).all()


def test_parts_and_the_fidelity_graph(command, one_line, rgba, tmp_path):
    generator = images.generator(rgba, "portable")
    inputs = generator.model.inputs(0, 0, 2, generator.model.options())
    for part in ("mapping", "synthesis"):
        command("export", rgba, "-o", f"{part}.onnx", "--part", part, check=0)
    w = dsb_fast.load(tmp_path / "mapping.onnx", device="cpu").mapping(inputs["z"])
    assert (w == generator.mapping(inputs["z"])).all()
    synthesis = dsb_fast.load(tmp_path / "synthesis.onnx", device="cpu")
    image = synthesis.run(w=w, noise=inputs["noise"])["image"]
    assert (image == generator.synthesis(w, inputs["noise"])).all()
    for call in (synthesis.sample, lambda _: synthesis.mean_style, lambda _: synthesis.mapping(inputs["z"])):
        with pytest.raises(dsb_fast.InputError, match=r"synthesis\.onnx"):
            call(1)
    command("export", rgba, "-o", "fidelity.onnx", "--fidelity", check=0)
    session = onnxruntime.InferenceSession(str(tmp_path / "fidelity.onnx"), providers=["CPUExecutionProvider"])
    levels = session.run(None, {"z": inputs["z"]})[0]
    assert levels.dtype == np.uint8 and levels.shape == (2, 4, 32, 32)
    assert "fidelity" in one_line(command("generate", "fidelity.onnx", "-n", 1, "-o", "d"), 2)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--noise", "const"], "noise"), (["--part", "half"], "part"), (["--flavour", "fancy"], "fancy"),
        (["--fidelity", "--part", "mapping"], "fidelity"), (["--fidelity", "--flavour", "fused"], "fidelity"),
        (["--network", "best"], "best"),
    ],
)  # fmt: skip
def test_wrong_exports(command, one_line, rgba, tmp_path, arguments, word):
    assert word in one_line(command("export", rgba, "-o", "x.onnx", *arguments), 2)
    assert not (tmp_path / "x.onnx").exists()


def test_wrong_exports_of_an_ecg(command, one_line):
    for arguments in (["--part", "mapping"], ["--fidelity"], ["--noise", "input"], ["--network", "ema"]):
        line = one_line(command("export", "cardiovascular.ecg", "-o", "x.onnx", *arguments), 2)
        assert arguments[0].strip("-") in line


HOSTILE = [
    "truncated", "wrong_shape", "missing_key", "nan_one", "nan_all", "config_mismatch", "config_huge",
    "config_not_json", "bit_rot", "bit_rot_tensor", "path_traversal",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_broken_checkpoints_are_refused(data, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for place in (data / "unsafe/lucid" / name, data / "unsafe/lucid" / name / "model_1.pt"):
        for arguments in ((place,), ("digestive.gitract", "auto", "fp32", place)):
            with pytest.raises(dsb_fast.CheckpointError) as raised:
                dsb_fast.load(*arguments)
            assert "\n" not in str(raised.value) and name in str(raised.value)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["lucid/nan_one", "lucid/path_traversal", "reduce_zip.pt", "nv_reduce_nested.pkl"])
def test_the_command_refuses_them_in_one_line(process, one_line, data, tmp_path, name):
    for model in ([data / "unsafe" / name], ["digestive.gitract", "--checkpoint", data / "unsafe" / name]):
        one_line(process("generate", *model, "-n", 1, "-o", "d"), 2)
    assert not os.listdir(tmp_path)


def test_the_whole_one_of_them_loads(data):
    assert dsb_fast.load(data / "unsafe/lucid/ok", device="cpu").sample(1).shape == (1, 16, 16, 3)


def test_files_of_another_kind_say_what_they_look_like(command, one_line, rgba, tmp_path):
    torch.save(state_dict(6), tmp_path / "net.pt")
    os.mkdir(tmp_path / "empty")
    for arguments, word in (
        (["digestive.gitract", "--checkpoint", "net.pt"], "Pulse2Pulse"),
        (["cardiovascular.ecg", "--checkpoint", rgba / "model_0.pt"], "stylegan2-pytorch"),
        (["empty"], "model_N.pt"), (["cardiovascular.ecg", "--checkpoint", "empty"], "empty"),
        (["digestive.gitract", "--checkpoint", "missing.pt"], "missing.pt"),
    ):  # fmt: skip
        assert word in one_line(command("generate", *arguments, "-n", 1, "-o", "d"), 2)
    command("export", "net.pt", "-o", "ecg.onnx", check=0)
    command("export", rgba, "-o", "gi.onnx", check=0)
    for arguments, word in (
        (["digestive.gitract", "--checkpoint", "ecg.onnx"], "'cardiovascular.ecg'"),
        (["cardiovascular.ecg", "--checkpoint", "gi.onnx"], "'stylegan2-pytorch'"),
    ):
        assert word in one_line(command("generate", *arguments, "-n", 1, "-o", "d"), 2)


@pytest.mark.parametrize("edit", ["part", "blocks", "channels", "extra", "mean"])
def test_a_card_that_does_not_fit_its_graph(rgba, tmp_path, edit):
    from dsb_fast.export import onnx_file

    built = images.generator(rgba, "portable").model.source.build("whole", "portable")
    model = onnx.load_model_from_string(built.model)
    properties = {p.key: p.value for p in model.metadata_props if p.key != "graph_sha256"}
    card = json.loads(properties["card"])
    card.update({"part": {"part": "half"}, "blocks": {"blocks": 3}, "channels": {"channels": 3},
                 "extra": {"run": "me"}, "mean": {}}[edit])  # fmt: skip
    if edit == "mean":
        next(t for t in model.graph.initializer if t.name == "mean_style").name = "mean"
        for node in model.graph.node:
            node.input[:] = ["mean" if name == "mean_style" else name for name in node.input]
    path = tmp_path / "x.onnx"
    path.write_bytes(onnx_file.serialise(model, {**properties, "card": json.dumps(card)})[0])
    with pytest.raises(dsb_fast.CheckpointError, match=r"x\.onnx: ") as raised:
        dsb_fast.load(path, device="cpu")
    assert "\n" not in str(raised.value)

"""NVIDIA's and rosinality's networks on the command line: datasets, exports, animations, files that do not load."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import sys
import types
import zipfile
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
import torch
from hostile.mutations import Damage
from PIL import Image
from references import images, nv_network
from references.images import FLAVOURS
from references.nv_samples import GOLDEN, generator, pickled, saved

import dsb_fast
from dsb_fast import _cli, _labels
from dsb_fast._interpolate import Way, frames

CONDITIONAL, GREY, TRAINING = (
    "nvlabs/sg3repo64_cond_skip.pkl", "nvlabs/sg3repo32_uncond_resnet.pkl", "rosinality/size64_train.pt",
)  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command in an empty folder, in this process; returns what it printed, or the line of an error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, status=0):
        found = _cli.main(list(map(str, arguments)))
        printed = capsys.readouterr()
        assert found == status, printed.err
        if not status:
            return printed.out
        (line,) = printed.err.splitlines()
        assert "Traceback" not in line and len(line) < 2000
        return line

    return call


def _manifest(folder) -> dict:
    return json.loads((folder / "dataset.json").read_text())


def test_a_dataset_its_manifest_and_again(command, one_line, data, tmp_path):
    path, options = data / CONDITIONAL, ("--truncation", 0.6, "--truncation-cutoff", 4, "--noise", "random", "--mixing")
    arguments = ("generate", path, "-n", 5, "--seed", 9, "--format", "npy", "--shard-size", 3, *options)
    command(*arguments, "-o", "d", check=0)
    manifest = _manifest(tmp_path / "d")
    assert manifest["options"] == {
        "network": "ema", "truncation": 0.6, "truncation_cutoff": 4, "label": "random", "noise": "random",
        "mixing": True, "numpy_seed": False,
    }  # fmt: skip
    assert (manifest["model"], manifest["labels"], manifest["sample_shape"]) == ("nvidia-stylegan2", 3, [64, 64, 3])
    schema = Path(__file__).parent.parent / "docs/dataset.schema.json"
    jsonschema.validate(manifest, json.loads(schema.read_text()))
    given = {"truncation": 0.6, "truncation_cutoff": 4, "noise": "random", "mixing": True}
    expected = dsb_fast.load(path, device="cpu").sample(5, seed=9, **given)
    stored = np.concatenate([np.load(tmp_path / f"d/{k:09d}.npy") for k in (0, 3)])
    assert (stored == expected).all()
    assert "2 made again" in command("verify", "d", "--sample", 2, "--checkpoint", path, check=0).stdout
    assert "--checkpoint" in one_line(command("verify", "d", "--sample", 2), 2)
    command(*arguments, "-o", "r", "--recipe-only", check=0)
    command("regenerate", "r/dataset.json", "-o", "again", "--checkpoint", path, "--workers", 2, check=0)
    for name in ("dataset.json", "000000000.npy", "000000003.npy"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "d" / name).read_bytes()
    other = data / "nvlabs/ada64_cond_resnet.pkl"
    assert "other weights" in one_line(command("regenerate", "r", "-o", "x", "--checkpoint", other), 1)


@pytest.mark.parametrize("label", ["1", "0.5,0.25,-1", "random"])
def test_labels_and_numpy_seeds_of_recipes(run, data, tmp_path, label):
    path = data / CONDITIONAL
    options = ("--label", label, "--seed", 80, "--start", 5, "--numpy-seed", "--format", "npy")
    run("generate", path, "-n", 2, "-o", "d", *options)
    said = {"1": 1, "random": "random"}.get(label, [0.5, 0.25, -1.0])
    manifest = _manifest(tmp_path / "d")
    assert manifest["options"]["label"] == said and manifest["options"]["numpy_seed"] is True
    assert "made again" in run("verify", "d", "--sample", 2, "--checkpoint", path)
    assert "all with the manifest's bytes" in run("regenerate", "d", "-o", "again", "--checkpoint", path)
    stored = np.load(tmp_path / "d/000000005.npy")
    model = dsb_fast.load(path, device="cpu")
    assert (stored == model.sample(2, seed=80, start=5, numpy_seed=True, label=said)).all()
    if label != "random":  # no other number of a sample counts
        assert (stored == model.sample(2, seed=85, numpy_seed=True, label=said)).all()


def test_random_classes_in_archives_for_training(run, data, tmp_path):
    path = data / CONDITIONAL
    for name, given, expected in (
        ("random", (), _labels.classes(4, 2, 6, 3).tolist()), ("one", ("--label", 2), [2] * 6),
        ("vector", ("--label", "0,1,0"), [1] * 6), ("mixture", ("--label", "0,1,1"), None),
    ):  # fmt: skip
        run("generate", path, "-n", 6, "-o", name, "--seed", 4, "--start", 2, "--format", "stylegan-zip", *given)
        with zipfile.ZipFile(tmp_path / name / "000000002.zip") as archive:
            labels = json.loads(archive.read("dataset.json"))["labels"]
        if expected is None:
            assert labels is None
        else:
            assert labels == [[f"00000/img{k:08d}.png", c] for k, c in zip(range(2, 8), expected, strict=True)]
        assert "are whole" in run("verify", name)


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "webdataset", "parquet", "stylegan-zip"])
def test_grey_pictures(run, data, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="not installed: extra formats")
    path = data / GREY
    run("generate", path, "-n", 2, "-o", "d", "--format", format)
    assert _manifest(tmp_path / "d")["channels"] == ["grey"]
    assert "are whole" in run("verify", "d", "--sample", 1, "--checkpoint", path)
    if format == "png":
        expected = dsb_fast.load(path, device="cpu").sample(2)
        with Image.open(tmp_path / "d/1.png") as image:
            assert image.mode == "L" and (np.asarray(image) == expected[1, :, :, 0]).all()


def test_channels_that_no_picture_has(run, tmp_path):
    small = {"synthesis": {"channel_base": 16, "channel_max": 2}}
    path = pickled(tmp_path / "two.pkl", img_channels=2, **small)
    line = run("generate", path, "-n", 2, "-o", "d", status=2)
    assert "1, 3 or 4" in line and "npy" in line and not (tmp_path / "d").exists()
    run("generate", path, "-n", 2, "-o", "d", "--format", "npy")
    assert np.load(tmp_path / "d/000000000.npy").shape == (2, 8, 8, 2)
    assert _manifest(tmp_path / "d")["channels"] == ["channel_0", "channel_1"]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("noise", [None, "input", "none"])
def test_an_exported_file_makes_the_same_samples(run, data, tmp_path, name, flavour, noise):
    checkpoint = generator(data / name, flavour)
    checkpoint.model.export("x.onnx", flavour, **({} if noise is None else {"noise": noise}))
    exported = dsb_fast.load(tmp_path / "x.onnx", device="cpu")
    for key in ("model", "weights_sha256", "image_size", "flavour", "grade", "num_ws", "output", "family", "labels"):
        assert exported.info[key] == checkpoint.info[key], key
    mode = {None: "const", "input": "random", "none": "none"}[noise]
    assert exported.info["noise"] == [mode] and exported.model.options().noise == mode
    if noise is None:
        assert exported.graph_sha256 == checkpoint.graph_sha256
    for more in ({}, {"truncation": 0.5}, {"truncation": 0.5, "truncation_cutoff": 3}, {"mixing": True}):
        assert (exported.sample(2, seed=2, **more) == checkpoint.sample(2, seed=2, noise=mode, **more)).all(), more
    z = dsb_fast.random.normal(1, 0, 2, checkpoint.info["latent_dim"])
    label = {"label": 1} if checkpoint.info["labels"] else {}
    assert (exported.mapping(z, **label) == checkpoint.mapping(z, **label)).all()
    assert (exported.mean_style == checkpoint.mean_style).all()
    others = {"const", "random", "none"} - {mode}
    for other in others:
        with pytest.raises(dsb_fast.InputError, match=rf"noise: '{other}'; .*x\.onnx was exported .*again with noise"):
            exported.sample(1, noise=other)
    with pytest.raises(dsb_fast.InputError, match=r"network: .*x\.onnx is the ema one"):
        dsb_fast.load(tmp_path / "x.onnx", network="plain")
    with pytest.raises(dsb_fast.InputError, match="another needs a checkpoint"):
        exported.model.export("y.onnx", flavour, part="mapping")


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", [CONDITIONAL, TRAINING])
def test_parts(run, data, tmp_path, name, flavour):
    checkpoint = generator(data / name, flavour)
    for part in ("mapping", "synthesis"):
        run("export", data / name, "-o", f"{part}.onnx", "--part", part, "--flavour", flavour)
    z = dsb_fast.random.normal(1, 0, 2, checkpoint.info["latent_dim"])
    label = {"label": 1} if checkpoint.info["labels"] else {}
    mapping, synthesis = (dsb_fast.load(tmp_path / f"{part}.onnx", device="cpu") for part in ("mapping", "synthesis"))
    w = mapping.mapping(z, **label)
    assert (w == checkpoint.mapping(z, **label)).all()
    image = checkpoint.synthesis(w)
    assert (synthesis.synthesis(w) == image).all() and (synthesis.run(w=w)["image"] == image).all()
    for call in (
        lambda: synthesis.sample(1), lambda: synthesis.mean_style, lambda: synthesis.mapping(z, **label),
        lambda: mapping.synthesis(w),
    ):  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match=r"(mapping|synthesis)\.onnx"):
            call()


def test_a_dataset_of_an_exported_file(run, data, tmp_path):
    run("export", data / CONDITIONAL, "-o", "x.onnx", "--flavour", FLAVOURS[-1], "--noise", "const")
    run("generate", "x.onnx", "-n", 3, "-o", "d", "--format", "npy", "--device", "cpu")
    run("generate", data / CONDITIONAL, "-n", 3, "-o", "e", "--format", "npy", "--device", "cpu")
    assert (tmp_path / "d/000000000.npy").read_bytes() == (tmp_path / "e/000000000.npy").read_bytes()
    assert (tmp_path / "d/dataset.json").read_bytes() == (tmp_path / "e/dataset.json").read_bytes()
    assert "made again" in run("verify", "e", "--sample", 1, "--checkpoint", "x.onnx")


@pytest.mark.parametrize("name", [CONDITIONAL, TRAINING, GREY])
def test_float16(run, data, tmp_path, name):
    run("export", data / name, "-o", "x.onnx", "--precision", "fp16")
    line = run("generate", "x.onnx", "-n", 1, "-o", "d", status=2)
    assert "precision fp32: x.onnx runs in fp16" in line
    run("generate", "x.onnx", "-n", 4, "-o", "d", "--precision", "fp16", "--format", "npy", "--device", "cpu")
    manifest = _manifest(tmp_path / "d")
    assert (manifest["precision"], manifest["grade"], manifest["flavour"]) == ("fp16", "near", "portable")
    exported = dsb_fast.load("x.onnx", device="cpu", precision="fp16")
    checkpoint = dsb_fast.load(data / name, device="cpu", precision="fp16")
    assert exported.graph_sha256 == checkpoint.graph_sha256
    single = dsb_fast.load(data / name, device="cpu")
    for more in ({}, {"mixing": True, "truncation": 0.7}):
        made = exported.sample(4, **more)
        assert (made == checkpoint.sample(4, **more)).all()
        apart = np.abs(made.astype(int) - single.sample(4, **more))
        assert (apart > 2).mean() < 0.02 and apart.any()
    assert "made again" in run("verify", "d", "--sample", 2, "--checkpoint", "x.onnx")
    assert "another needs" in run(
        "export", "x.onnx", "-o", "y.onnx", "--precision", "fp16", "--part", "mapping", status=2
    )
    assert "needs a checkpoint" in run("export", "x.onnx", "-o", "y.onnx", status=2)


def test_float16_that_a_network_is_not_fit_for(run, data, tmp_path):
    network = nv_network.generator(synthesis={"channel_base": 64, "channel_max": 8})
    network["synthesis.b8.conv0"].state["_parameters"]["bias"].data *= 1e5
    (tmp_path / "x.pkl").write_bytes(nv_network.dumps({"G_ema": network}))
    line = run("export", "x.pkl", "-o", "x.onnx", "--precision", "fp16", status=2)
    assert "precision fp16: nvidia-stylegan2 fails its acceptance test" in line and "% of values" in line
    assert "acceptance test" in run("generate", "x.pkl", "-n", 1, "-o", "d", "--precision", "fp16", status=2)
    assert os.listdir(tmp_path) == ["x.pkl"]
    forced = ["--precision", "fp16", "--force-precision", "--device", "cpu", "--format", "npy"]
    run("generate", "x.pkl", "-n", 2, "-o", "d", *forced)
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    assert manifest["precision"] == "fp16" and manifest["forced_precision"] is True
    assert "% of values" in dsb_fast.load("x.pkl", precision="fp16", device="cpu", force_precision=True).info["forced"]
    schema = Path(__file__).parent.parent / "docs/dataset.schema.json"
    jsonschema.validate(manifest, json.loads(schema.read_text()))
    assert "made again" in run("verify", "d", "--sample", 2, "--checkpoint", "x.pkl")
    shutil.rmtree(tmp_path / "d")
    for arguments in (["--precision", "fp16", "--flavour", "fused"], ["--precision", "bf16"], ["--precision", "half"]):
        assert "precision: " in run("export", "x.pkl", "-o", "x.onnx", *arguments, status=2)
    assert "precision" in run("export", images.folder(data, "plain32"), "-o", "x", "--precision", "fp16", status=2)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--noise", "loud"], "noise: 'loud'"), (["--part", "half"], "part"), (["--flavour", "fancy"], "fancy"),
        (["--fidelity"], "fidelity"), (["--network", "best"], "best"), (["--card", "lr_mlp=1"], "lr_mlp"),
    ],
)  # fmt: skip
def test_wrong_exports(run, data, tmp_path, arguments, word):
    assert word in run("export", data / CONDITIONAL, "-o", "x.onnx", *arguments, status=2)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--leads", 8], "leads"), (["--label", 3], "classes are 0 to 2"), (["--label", "1,2"], "3 numbers"),
        (["--label", "cat"], "--label"), (["--truncation-cutoff", 11], "cutoff"), (["--noise", "loud"], "noise"),
        (["--seed", 2**32, "--numpy-seed"], "numpy_seed"), (["--truncation", "nan"], "truncation"),
        (["--network", "best"], "network"), (["--card", "image_size=64"], "image_size"), (["--format", "asc"], "asc"),
        (["--time-column"], "time_column"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_for_it(run, data, tmp_path, arguments, word):
    assert word in run("generate", data / CONDITIONAL, "-n", 1, "-o", "d", *arguments, status=2)
    assert not os.listdir(tmp_path)


def test_numpy_seeds_are_for_nvidias_networks(run, data):
    for model in (images.folder(data, "plain32"), "cardiovascular.ecg"):
        assert "numpy_seed" in run("generate", model, "-n", 1, "-o", "d", "--numpy-seed", status=2)


def test_info(run, data):
    info = json.loads(run("info", data / TRAINING, "--json", "--device", "cpu"))
    assert info == dsb_fast.load(data / TRAINING, device="cpu").info
    assert info["model"] == "rosinality-stylegan2" and info["mean_estimated"] is True


@pytest.mark.parametrize("space", ["z", "w"])
def test_animations(run, data, tmp_path, space):
    path, model = data / CONDITIONAL, dsb_fast.load(data / CONDITIONAL, device="cpu")
    options = {"truncation": 0.6, "truncation_cutoff": 4, "label": 0, "noise": "random", "numpy_seed": True}
    way = Way(seed=4, seeds=(85, 7), steps=2, space=space, **options)
    count, shown = frames(model, way)
    shown = np.stack(list(shown))
    assert count == len(shown) == 3
    if space == "z":  # else rows of w are what was computed one by one
        noise = model.model.still(4, 0, 1, model.model.options(**options))
        z = np.random.RandomState(7).randn(1, 20).astype(np.float32)
        image = model.model.image_of_latents(model.backend_of, z, noise, model.model.options(**options))
        assert (shown[2] == model.model.outputs({"image": image}, None)[0]).all()
    flags = ("--truncation", 0.6, "--truncation-cutoff", 4, "--label", 0, "--noise", "random", "--numpy-seed")
    run("interpolate", path, "-o", "a.gif", "--seed", 4, "--seeds", "85,7", "--steps", 2, "--space", space, *flags,
        "--save-frames", "f")  # fmt: skip
    with Image.open(tmp_path / "f/1.png") as image:
        assert (np.asarray(image) == shown[1]).all()
    first = model.sample(1, seed=85, numpy_seed=True, label=0, noise="none")
    way = Way(seed=85, steps=1, label=0, noise="none", numpy_seed=True)
    assert (next(frames(model, way)[1]) == first[0]).all()
    assert "classes are 0 to 2" in run("interpolate", path, "-o", "b.gif", "--label", 7, status=2)


def test_a_grey_animation(run, data, tmp_path):
    run("interpolate", data / GREY, "-o", "a.gif", "--steps", 2, "--save-frames", "f")
    run("interpolate", data / GREY, "-o", "a.webp", "--steps", 2)
    with Image.open(tmp_path / "f/0.png") as image:
        assert image.mode == "L"
    with Image.open(tmp_path / "a.webp") as image:
        assert image.n_frames == 3


UNSAFE = [
    "reduce_plain.pkl", "reduce_zip.pt", "reduce_legacy.pt", "nv_reduce_state.pkl", "nv_reduce_nested.pkl",
    "reduce_objects.npz", "rosinality_wrong_shape.pt",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_hostile_files(run, data, tmp_path, name):
    for model in ([data / "unsafe" / name], ["digestive.gitract", "--checkpoint", data / "unsafe" / name],
                  ["nvidia-stylegan2", "--checkpoint", data / "unsafe" / name]):  # fmt: skip
        assert name in run("generate", *model, "-n", 1, "-o", "d", status=2)
    assert not os.listdir(tmp_path)


def test_a_hostile_file_in_a_process_of_its_own(process, one_line, data, tmp_path):
    for name in UNSAFE[3:5]:
        one_line(process("generate", data / "unsafe" / name, "-n", 1, "-o", "d"), 2)
    assert not os.listdir(tmp_path)


def test_damaged_files(run, data, tmp_path, capsys):
    """Each is refused in one line, or is another network that makes images."""
    pickled(tmp_path / "whole.pkl", synthesis={"channel_base": 16, "channel_max": 2})
    saved(tmp_path / "whole.pt")
    refused = 0
    for kind in ("pkl", "pt"):
        raw = (tmp_path / f"whole.{kind}").read_bytes()
        path = tmp_path / f"damaged.{kind}"
        for damaged, _ in zip(Damage(raw, 3), range(40), strict=False):
            path.write_bytes(damaged)
            found = _cli.main(["generate", str(path), "-n", "1", "-o", "d", "--format", "dummy", "--overwrite"])
            printed = capsys.readouterr().err
            assert found in (0, 1, 2), printed
            if found == 2:
                (line,) = printed.splitlines()
                assert f"damaged.{kind}: " in line
                refused += 1
            assert found != 1 or "not numbers" in printed
    assert refused > 60
    assert {"whole.pkl", "whole.pt", "damaged.pkl", "damaged.pt"} | {"d"} >= set(os.listdir(tmp_path))


class Network:
    """Stands for TensorFlow's."""

    def __reduce__(self):
        return Network, ()


def test_files_of_other_kinds_say_what_they_look_like(run, data, tmp_path, monkeypatch):
    third = nv_network.Module(
        "Generator",
        modules={"synthesis": nv_network.Module("SynthesisNetwork", modules={"input": nv_network.Module("Input")})},
    )
    (tmp_path / "third.pkl").write_bytes(nv_network.dumps({"G_ema": third}))
    module = types.ModuleType("dnnlib.tflib.network")
    monkeypatch.setattr(Network, "__module__", module.__name__)
    for name in ("dnnlib", "dnnlib.tflib", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    module.Network = Network
    (tmp_path / "tf.pkl").write_bytes(pickle.dumps((Network(),)))
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    torch.save({"synthesis.b4.const": torch.zeros(2)}, tmp_path / "alone.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name, words in (
        ("third.pkl", "StyleGAN3"), ("tf.pkl", "TensorFlow"), ("other.pt", "has weights; checkpoints of .* are read"),
        ("alone.pt", "state dict of an NVIDIA StyleGAN2 alone"), ("list.pt", "are read"),
    ):  # fmt: skip
        for model in ([name], ["digestive.gitract", "--checkpoint", name]):
            line = run("generate", *model, "-n", 1, "-o", "d", status=2)
            assert line.startswith(f"dsb-fast: {name}: ") and re.search(words, line), line
    assert "NVIDIA" in run("info", "cardiovascular.ecg", "--checkpoint", data / CONDITIONAL, status=2)
    assert "rosinality" in run("info", "cardiovascular.ecg", "--checkpoint", data / TRAINING, status=2)
    lucid = images.folder(data, "plain32")
    assert "stylegan2-pytorch (lucidrains)" in run("info", "nvidia-stylegan2", "--checkpoint", lucid, status=2)


@pytest.mark.parametrize("edit", ["part", "noise", "num_ws", "labels", "planes", "extra", "mean"])
def test_a_card_that_does_not_fit_its_graph(data, tmp_path, edit):
    from dsb_fast.export import onnx_file

    built = generator(data / CONDITIONAL).model.source.build(("whole", "input"), "portable")
    model = onnx.load_model_from_string(built.model)
    properties = {p.key: p.value for p in model.metadata_props if p.key != "graph_sha256"}
    card = json.loads(properties["card"])
    card.update({
        "part": {"part": "half"}, "noise": {"noise": "const"}, "num_ws": {"num_ws": 8}, "labels": {"labels": 0},
        "planes": {"noise_sizes": []}, "extra": {"run": "me"}, "mean": {},
    }[edit])  # fmt: skip
    if edit == "mean":
        next(t for t in model.graph.initializer if t.name == "mean_style").name = "mean"
        for node in model.graph.node:
            node.input[:] = ["mean" if name == "mean_style" else name for name in node.input]
    path = tmp_path / "x.onnx"
    path.write_bytes(onnx_file.serialise(model, {**properties, "card": json.dumps(card)})[0])
    with pytest.raises(dsb_fast.CheckpointError, match=r"x\.onnx: ") as raised:
        dsb_fast.load(path, device="cpu")
    assert "\n" not in str(raised.value)

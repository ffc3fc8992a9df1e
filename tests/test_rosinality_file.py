"""rosinality checkpoints: read as they were written, refused in one line wherever they contradict themselves."""

from __future__ import annotations

import argparse
import io
import json

import numpy as np
import pytest
import torch
from dsb_fast.export import nv_pickle, rosinality
from references import nv_network
from references.rosinality_network import state_dict

import dsb_fast

pytestmark = pytest.mark.variant_independent


def _read(value, network: str = "ema", zipped: bool = True) -> rosinality.Rosinality:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return rosinality.from_tree(nv_pickle.parse(buffer.getvalue()), network)


def refusal(value, network: str = "ema") -> str:
    """The line that refuses a checkpoint, which torch saves first."""
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        _read(value, network)
    line = str(raised.value)
    assert line.isprintable() and len(line) < 1200, line
    return line


def _same(network, state) -> None:
    assert set(network.tensors) == set(state)
    for name, values in network.tensors.items():
        assert values.dtype == np.float32 and values.shape == tuple(state[name].shape), name
        assert values.tobytes() == state[name].numpy().tobytes(), name


@pytest.mark.parametrize("name", ["size32", "size64_train"])
def test_golden_checkpoints_are_read_bit_for_bit(name, data):
    path = data / f"rosinality/{name}.pt"
    said = json.loads((data / f"rosinality/{name}.json").read_text())
    with torch.serialization.safe_globals([argparse.Namespace]):
        file = torch.load(path, map_location="cpu", weights_only=True)
    network = rosinality.from_file(path)
    _same(network, file["g_ema"])
    assert (network.size, network.style_dim, network.n_mlp) == (said["size"], said["style_dim"], said["n_mlp"])
    assert network.channels == {int(side): width for side, width in said["channels"].items()}
    assert (network.num_ws, network.lr_mlp) == (said["n_latent"], said["lr_mlp"])
    np.testing.assert_allclose(network.blur, np.array(said["blur_kernel"]) / sum(said["blur_kernel"]), rtol=1e-6)
    if said["layout"] == "converted":
        assert network.latent_avg.tobytes() == file["latent_avg"].numpy().tobytes() and not network.must_estimate_mean
        assert network.networks == ("ema",) and network.channel_multiplier is None
    else:
        assert network.latent_avg is None and network.must_estimate_mean
        assert network.networks == ("ema", "plain") and network.channel_multiplier == said["channel_multiplier"]
        _same(rosinality.from_file(path, "plain"), file["g"])


@pytest.mark.parametrize("zipped", [True, False])
def test_layouts_that_are_met(zipped):
    state = state_dict(size=16, style_dim=3, n_mlp=2, channels=(4, 3, 2), taps=(1, 2, 1))
    for value in (
        {"g_ema": state}, {"g_ema": {f"module.{name}": tensor for name, tensor in state.items()}},
        {"g_ema": state, "latent_avg": torch.arange(3.0)}, {"g_ema": state, "latent_avg": torch.ones(1, 3).double()},
        {"g": state, "g_ema": state, "d": {}, "args": argparse.Namespace(size=16, latent=3, n_mlp=2, path=["x"])},
    ):  # fmt: skip
        network = _read(value, zipped=zipped)
        _same(network, state)
        assert network.size == 16 and network.channels == {4: 4, 8: 3, 16: 2} and network.n_mlp == 2
        assert network.blur == (0.25, 0.5, 0.25)
        assert (network.latent_avg is None) == ("latent_avg" not in value)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_the_channel_multiplier_is_that_of_the_repositorys_table(multiplier):
    table = [512, 512, 512, 512, 256 * multiplier, 128 * multiplier]
    channels = dict(zip((4, 8, 16, 32, 64, 128), table, strict=True))
    assert rosinality._multiplier(channels) == multiplier
    assert rosinality._multiplier({**channels, 128: 100}) is None
    assert rosinality._multiplier({4: 512, 8: 512}) is None


def _with(change) -> dict:
    state = state_dict()
    change(state)
    return {"g_ema": state}


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("convs.0.conv.weight", torch.zeros(1, 2, 1, 3, 3), "0.conv.weight is [1, 2, 1, 3, 3], needs [1, 2, 2, 3, 3]"),
        ("style.1.weight", torch.zeros(3, 3), "style.1.weight is [3, 3], needs [2, 2]"),
        ("style.9.weight", torch.zeros(2, 2), "style.2.weight is missing"),
        ("style.99.weight", torch.zeros(2, 2), "has style.99 and convs.1 as its last layers, needs style.1 to"),
        ("convs.3.conv.weight", torch.zeros(1, 2, 2, 3, 3), "convs.2.conv.weight is missing"),
        ("convs.400.conv.weight", torch.zeros(1, 2, 2, 3, 3), "convs.400 as its last layers"),
        ("noises.noise_2", torch.zeros(1, 1, 4, 4), "noises.noise_2 is [1, 1, 4, 4], needs [1, 1, 8, 8]"),
        ("input.input", torch.zeros(1), "input.input has too few dimensions"),
        ("extra.weight", torch.zeros(1), "extra.weight is not part of such a network"),
        ("conv1.noise.weight", torch.tensor([float("nan")]), "conv1.noise.weight has values that are not finite"),
        ("conv1.noise.weight", torch.tensor([1]), "conv1.noise.weight is no tensor of floating point numbers"),
        ("conv1.noise.weight", 3, "conv1.noise.weight is no tensor of floating point numbers"),
        ("to_rgbs.0.upsample.kernel", torch.ones(4, 4), "is not 4 times the outer product of taps"),
        ("to_rgbs.0.upsample.kernel", torch.ones(4), "to_rgbs.0.upsample.kernel is [4], needs [4, 4]"),
        ("convs.0.conv.blur.kernel", torch.ones(4), "convs.0.conv.blur.kernel is [4], needs as many rows as columns"),
        ("convs.0.conv.blur.kernel", torch.ones(4, 2), "convs.0.conv.blur.kernel is [4, 2], needs"),
        ("convs.0.conv.blur.kernel", torch.ones(0, 0), "convs.0.conv.blur.kernel is [0, 0], needs"),
        ("convs.0.conv.blur.kernel", torch.ones(999, 1), "convs.0.conv.blur.kernel is [999, 1], needs"),
        ("convs.0.conv.blur.kernel", torch.full((4, 4), float("inf")), "blur.kernel has values that are not finite"),
        ("module.style.1.bias", torch.zeros(2), "module.style.1.bias is there twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(name, tensor, said):
    assert said in refusal(_with(lambda state: state.update({name: tensor})))


def test_networks_of_no_channels_or_without_noise_maps():
    assert "it has a layer of 0 channels" in refusal({"g_ema": state_dict(channels=(0, 0))})
    assert "it has a layer of 0 channels" in refusal({"g_ema": state_dict(style_dim=0)})
    state = {name: tensor for name, tensor in state_dict().items() if not name.startswith("noises.")}
    assert not _read({"g_ema": state}).has_noise and _read({"g_ema": state_dict()}).has_noise
    assert "noises.noise_1 is missing" in refusal({"g_ema": {**state, "noises.noise_0": torch.zeros(1, 1, 4, 4)}})


def test_missing_tensors_are_named():
    for name in ("input.input", "conv1.conv.modulation.weight", "to_rgb1.bias", "convs.1.conv.weight"):
        assert f"{name} is missing" in refusal(_with(lambda state, name=name: state.pop(name)))
    line = refusal({"g_ema": {}})
    assert "it has style.- and convs.- as its last layers" in line


def test_both_networks_are_checked_whichever_is_asked_for():
    broken = state_dict()
    broken["conv1.activate.bias"][0] = float("inf")
    for network in ("ema", "plain"):
        line = refusal({"g": broken, "g_ema": state_dict(seed=1)}, network)
        assert "checkpoint, g: conv1.activate.bias has values that are not finite" in line
    assert "it has no network 'plain' (g)" in refusal({"g_ema": state_dict()}, "plain")
    with pytest.raises(dsb_fast.InputError, match="a rosinality file has 'ema'"):
        rosinality.from_tree({}, "g")


@pytest.mark.parametrize(
    ("latent_avg", "said"),
    [
        (torch.zeros(3), "latent_avg is [3], needs [2]"),
        (torch.tensor([0.0, float("nan")]), "latent_avg has values that are not finite"),
        ("mean", "latent_avg is mean, needs [2]"),
    ],
)
def test_a_wrong_mean_is_refused(latent_avg, said):
    assert said in refusal({"g_ema": state_dict(), "latent_avg": latent_avg})


def test_args_that_contradict_the_tensors_are_refused():
    line = refusal({"g_ema": state_dict(), "args": argparse.Namespace(size=256, latent=512, n_mlp=8)})
    for said in ("args say size 256, the tensors say 8", "args say latent 512, the tensors say 2", "args say n_mlp 8"):
        assert said in line
    assert _read({"g_ema": state_dict(), "args": argparse.Namespace(size="256", latent=2)}).size == 8


def test_other_files_are_named(data):
    with pytest.raises(dsb_fast.CheckpointError, match=r"looks like a network of NVIDIA's StyleGAN repositories"):
        rosinality.from_tree(nv_pickle.parse(nv_network.dumps({"G_ema": nv_network.generator()})))
    path = data / "unsafe/rosinality_wrong_shape.pt"
    with pytest.raises(dsb_fast.CheckpointError, match=r"convs\.0\.conv\.weight is \[1, 15, 16, 3, 3\]") as raised:
        rosinality.from_file(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "the state dict of a rosinality StyleGAN2 alone" in refusal(state_dict())
    with pytest.raises(dsb_fast.CheckpointError, match="not a regular file"):
        rosinality.from_file(data)

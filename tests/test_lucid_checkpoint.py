"""stylegan2-pytorch checkpoints: equal to torch on good ones, one line that names all that is wrong on others.

tests/data/lucid/models has golden checkpoints that the package's Trainer wrote, with their .config.json.
"""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc

import numpy as np
import pytest
import torch
from dsb_fast.export import lucid, torch_file
from references import gitract_checkpoint

import dsb_fast

pytestmark = pytest.mark.variant_independent

# What the Trainer was told (golden JSON), fmap_max apart, which no version of the package stores.
GOLDEN = {
    "fmap32": {"attn_layers": (2,), "latent_dim": 32, "style_depth": 4},
    "plain32": {"attn_layers": (), "latent_dim": 48, "attention": None},
    "rgba_noconst32": {"attn_layers": (3,), "latent_dim": 40, "channels": 4, "no_const": True, "lr_mlp": 0.2},
    "v190_attn32": {"attn_layers": (1, 3), "latent_dim": 40, "attention": "1.9", "version": "1.9.0"},
}
COMMON = {
    "image_size": 32, "blocks": 4, "channels": 3, "style_depth": 8, "lr_mlp": 0.1, "no_const": False,
    "attention": "1.5", "version": "1.5.10", "assumed": (),
}  # fmt: skip
SMALL = {"image_size": 16, "capacity": 2, "latent_dim": 8, "style_depth": 2, "attn_layers": (1,)}


def facts(network: lucid.Lucid) -> dict:
    """All but the tensors."""
    return {name: value for name, value in vars(network).items() if name not in ("networks", "mean_mapping")}


def refusal(tree, *arguments) -> str:
    """The one line that a tree is refused with."""
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        lucid.from_tree(tree, *arguments)
    line = str(raised.value)
    assert line.isprintable() and len(line) < 1500
    return line


@pytest.fixture
def written(tmp_path):
    """Write a small checkpoint, its state dict changed by ``change``; returns its path."""

    def write(change=None, folder="model", **options):
        path = gitract_checkpoint.write(tmp_path / folder, **{**SMALL, **options})
        if change:
            saved = torch.load(path, weights_only=True)
            torch.save({**saved, "GAN": change(saved["GAN"])}, path)
        return path

    return write


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_checkpoints_are_read_to_the_bit(name, data):
    folder = data / "lucid/models" / name
    network, digest = lucid.load(folder)
    assert facts(network) == COMMON | GOLDEN[name]
    (path,) = folder.glob("*.pt")
    state = torch.load(path, map_location="cpu", weights_only=True)["GAN"]
    for kind, (mapping, generator) in {"ema": ("SE", "GE"), "plain": ("S", "G")}.items():
        got = network.network(kind)
        for prefix, tensors in ((mapping, got.mapping), (generator, got.generator)):
            expected = {k.partition(".")[2]: v for k, v in state.items() if k.startswith(prefix + ".")}
            assert set(tensors) == {k for k in expected if not k.endswith(".upsample.1.f")}
            for key, array in tensors.items():
                assert array.dtype == np.float32 and array.shape == tuple(expected[key].shape)
                assert array.tobytes() == expected[key].numpy().tobytes(), key
    assert network.mean_mapping is network.networks["plain"].mapping
    assert digest == torch_file.load(path)[1]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_architecture_is_read_off_the_tensors(name, data, tmp_path):
    (path,) = (data / "lucid/models" / name).glob("*.pt")
    shutil.copy(path, tmp_path)
    network, _ = lucid.load(tmp_path / path.name)
    assert facts(network) == COMMON | GOLDEN[name] | {"lr_mlp": 0.1, "assumed": ("lr_mlp",)}
    told, _ = lucid.load(tmp_path, {"lr_mlp": 0.3})
    assert told.lr_mlp == 0.3 and told.assumed == ()


UNSAFE = {
    "truncated": "damaged", "bit_rot": "CRC", "bit_rot_tensor": "CRC", "path_traversal": "outside",
    "wrong_shape": r"GE\.blocks\.1\.conv1\.weight is \[3, 8, 3, 3\], needs \[4, 8, 3, 3\]",
    "missing_key": r"GE\.initial_conv\.bias is missing", "nan_one": "not finite", "nan_all": "not finite",
    "config_mismatch": "image_size 32, the tensors say 16", "config_huge": "network_capacity is 100000000",
    "config_not_json": "not JSON",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(UNSAFE))
def test_golden_unsafe_checkpoints_are_refused(name, data, tmp_path, monkeypatch):
    folder = data / "unsafe/lucid" / name
    empty = tmp_path / "empty" / "inner"
    empty.mkdir(parents=True)
    monkeypatch.chdir(empty)
    tracemalloc.start()
    try:
        with pytest.raises(dsb_fast.CheckpointError, match=UNSAFE[name]) as raised:
            lucid.load(folder)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    line = str(raised.value)
    assert line.isprintable() and str(folder) in line
    assert not list(empty.iterdir()) and [p.name for p in empty.parent.iterdir()] == ["inner"]
    assert not os.path.exists("/tmp/GOLDEN_TRAVERSAL_abs.txt")


def test_their_baseline_is_read(data):
    network, _ = lucid.load(data / "unsafe/lucid/ok")
    assert (network.image_size, network.latent_dim, network.style_depth) == (16, 16, 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_floating_type_becomes_float32(dtype, written):
    path = written(lambda state: {name: tensor.to(getattr(torch, dtype)) for name, tensor in state.items()})
    state = torch.load(path, weights_only=True)["GAN"]
    for name, array in lucid.load(path)[0].networks["ema"].generator.items():
        assert array.dtype == np.float32 and array.tobytes() == state[f"GE.{name}"].float().numpy().tobytes()


def test_numbers_beyond_float32_are_refused(written):
    path = written(lambda state: state | {"G.initial_conv.bias": state["G.initial_conv.bias"].double() * 1e300})
    with pytest.raises(dsb_fast.CheckpointError, match=r"G\.initial_conv\.bias has values that are not finite"):
        lucid.load(path)


@pytest.mark.parametrize(
    ("kept", "there", "absent"),
    [(("SE.", "GE."), "ema", "plain"), (("S.", "G."), "plain", "ema"), (("S.", "SE.", "GE."), "ema", "plain")],
)
def test_one_network_is_enough_for_itself(kept, there, absent, written):
    network, _ = lucid.load(written(lambda state: {k: v for k, v in state.items() if k.startswith(kept)}))
    assert set(network.networks) == {there} and network.network(there).generator
    assert (network.mean_mapping is network.networks[there].mapping) == (len(kept) == 2)
    with pytest.raises(dsb_fast.CheckpointError, match=rf"no network '{absent}' \(SE?, GE?\); there is '{there}'"):
        network.network(absent)


@pytest.mark.parametrize(
    ("part", "said"),
    [("S.", "G is there, its mapping network S is not"), ("GE.", "SE is there, its generator GE is not")],
)
def test_half_a_network_is_refused(part, said, written):
    with pytest.raises(dsb_fast.CheckpointError, match=said):
        lucid.load(written(lambda state: {k: v for k, v in state.items() if not k.startswith(part)}))


def test_networks_of_different_shapes_are_refused(written):
    other = torch.load(written(folder="other", attn_layers=(2,)), weights_only=True)["GAN"]

    def change(state):
        ours = {name: tensor for name, tensor in state.items() if not name.startswith("G.")}
        return ours | {name: tensor for name, tensor in other.items() if name.startswith("G.")}

    with pytest.raises(dsb_fast.CheckpointError, match=r"G and GE differ: attended \(1,\) and \(2,\)"):
        lucid.load(written(change))


def test_the_discriminator_and_a_wrappers_prefix_do_not_matter(written):
    plain, _ = lucid.load(written())
    path = written(lambda state: {f"module.{name}": tensor for name, tensor in state.items()}, discriminator=True)
    assert any("D_aug.D." in name for name in torch.load(path, weights_only=True)["GAN"])
    wrapped, _ = lucid.load(path)
    assert facts(wrapped) == facts(plain) and set(wrapped.networks) == {"ema", "plain"}


def test_of_much_that_is_wrong_some_is_named_and_the_rest_counted(written):
    path = written(lambda state: {k: v for k, v in state.items() if not k.startswith("GE.blocks.1.to_")})
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        lucid.load(path)
    line = str(raised.value)
    assert line.startswith(f"{path}: ") and line.count("is missing") == 4 and line.endswith("; and 8 more")


@pytest.mark.parametrize(("version", "read_as"), [(None, "1.9.0"), ("2.0.0", "1.9.0"), (7, "1.9.0"), ("1.8.8", None)])
def test_a_version_that_is_not_known_is_assumed(version, read_as, data):
    tree, _ = torch_file.load(data / "lucid/models/v190_attn32/model_5.pt")
    network = lucid.from_tree({"GAN": tree["GAN"], "version": version})
    assert network.version == (read_as or version) and ("version" in network.assumed) == (read_as is not None)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ([1], "it holds one list"),
        ({}, "it has nothing"),
        ({"GAN": {"D.x": 1}}, "in its GAN is none"),
        ({"GAN": 3, 5: 6}, "in its GAN is none"),
        ({"G.initial_block": 1}, "the state dict alone"),
        ({"g_ema": {}}, "rosinality"),
        ({"G_ema": {}}, "NVIDIA"),
        ({"state_dict": {"conv_1.weight": 1}}, "Pulse2Pulse"),
        ({"epoch\n": 1}, r"it has 'epoch\n'"),
    ],
)
def test_what_is_something_else_is_told_apart(tree, said):
    assert not lucid.looks_like(tree)
    assert said in refusal(tree)


def test_a_file_of_another_kind_is_told_apart(data):
    assert lucid.looks_like(torch_file.load(data / "unsafe/lucid/ok/model_1.pt")[0])
    with pytest.raises(
        dsb_fast.CheckpointError, match=r"rosinality_wrong_shape.pt: .* looks like a StyleGAN2 of rosin"
    ):
        lucid.load(data / "unsafe/rosinality_wrong_shape.pt")


def test_a_folder_means_its_newest_model(tmp_path):
    for name in ("model_9.pt", "model_10.pt", "model_0011.pt", "model_x.pt", "model_99.pt.bak", "xmodel_50.pt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "model_77.pt").mkdir()
    assert lucid.find_checkpoint(tmp_path) == (str(tmp_path / "model_10.pt"), None)
    (tmp_path / ".config.json").write_text("{}")
    assert lucid.find_checkpoint(tmp_path / "model_9.pt") == (
        str(tmp_path / "model_9.pt"),
        str(tmp_path / ".config.json"),
    )


@pytest.mark.parametrize("name", ["", "absent"])
def test_where_no_model_is_the_line_says_what_was_looked_for(name, tmp_path):
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        lucid.load(tmp_path / name)
    assert str(tmp_path) in str(raised.value) and ("No such file" if name else "no model_N.pt") in str(raised.value)


def test_the_layout_of_the_published_checkpoint_at_full_size(tmp_path):
    path = gitract_checkpoint.write(tmp_path)
    size = os.path.getsize(path)
    assert 154_000_000 < size < 155_000_000
    tracemalloc.start()
    try:
        network, _ = lucid.load(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * size
    finally:
        tracemalloc.stop()
    path.unlink()
    assert facts(network) == COMMON | {
        "image_size": 128, "blocks": 6, "attn_layers": (1, 2), "latent_dim": 512, "assumed": ("lr_mlp",),
    }  # fmt: skip
    widths = [len(network.networks["ema"].generator[f"blocks.{k}.conv2.weight"]) for k in range(6)]
    assert widths == [512, 512, 256, 128, 64, 32]


def test_the_program_writes_the_config_it_is_asked_for(written):
    network, _ = lucid.load(written(config=True, transparent=True, no_const=True, lr_mlp=0.2, discriminator=True))
    assert network.assumed == () and (network.channels, network.no_const, network.lr_mlp) == (4, True, 0.2)
    assert json.loads((written(config=True).parent / ".config.json").read_text())["network_capacity"] == 2

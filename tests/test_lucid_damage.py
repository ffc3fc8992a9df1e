"""Damaged and hostile stylegan2-pytorch checkpoints and configs: one cheap line, whatever was done to them."""

from __future__ import annotations

import json
import tracemalloc
from functools import cache

import numpy as np
import pytest
from dsb_fast.export import lucid, lucid_config
from dsb_fast.export.torch_file import Storage, Tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from references import gitract_checkpoint

import dsb_fast

pytestmark = pytest.mark.variant_independent

CONFIG = {
    "image_size": 16, "network_capacity": 2, "lr_mlp": 0.1, "transparent": False, "fq_layers": [], "fq_dict_size": 256,
    "attn_layers": [1], "no_const": False,
}  # fmt: skip


def tensor(array) -> Tensor:
    """A tensor of its own storage."""
    array = np.ascontiguousarray(array, np.float32)
    strides = tuple(stride // 4 for stride in array.strides)
    return Tensor(Storage("0", "f4", array.size, array.tobytes), 0, array.shape, strides)


@cache
def state() -> dict[str, Tensor]:
    """The state dict that CONFIG describes."""
    made = gitract_checkpoint.state_dict(16, 2, (1,), 8, 2, discriminator=True)
    return {name: tensor(value.numpy()) for name, value in made.items()}


def refusal(tree, *arguments) -> str:
    """The one line that a tree is refused with."""
    with pytest.raises(dsb_fast.InputError) as raised:
        lucid.from_tree(tree, *arguments)
    line = str(raised.value)
    assert line.isprintable() and len(line) < 1500
    return line


NAMES = sorted(name for name in state() if not name.startswith("D"))
SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)
VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just([]), st.just({}))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_is_damaged_is_refused_in_one_line(data):
    damaged = dict(state())
    for name in data.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        kind = data.draw(st.sampled_from(["gone", "renamed", "value", "shape", "nan", "twice", "integers"]))
        old = damaged.pop(name)
        if kind == "renamed":
            damaged[name + data.draw(st.text(min_size=1, max_size=6))] = old
        elif kind == "value":
            damaged[name] = data.draw(VALUES)
        elif kind == "shape":
            shape = data.draw(SHAPES)
            shape = (*shape, 1) if shape == old.shape else shape
            damaged[name] = tensor(np.ones(shape))
            damaged[name].shape = shape  # numpy makes one dimension of none
        elif kind == "nan":
            values = old.numpy().copy()
            values.flat[data.draw(st.integers(0, values.size - 1))] = data.draw(st.sampled_from([np.nan, np.inf]))
            damaged[name] = tensor(values)
        elif kind == "twice":
            damaged |= {name: old, f"module.{name}": old}
        elif kind == "integers":
            damaged[name] = Tensor(Storage("0", "i8", 9, bytes), 0, (3, 3), (3, 1))
    refusal({"GAN": damaged, "version": "1.5.10"})


KEYS = st.sampled_from([*CONFIG, "fmap_max", "latent_dim", "style_depth"])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 40), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(st.dictionaries(KEYS, JSON, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_config_is_true_of_the_tensors_or_refused(change):
    config = CONFIG | change
    tree = {"GAN": state(), "version": "1.5.10"}
    try:
        network = lucid.from_tree(tree, config)
    except dsb_fast.CheckpointError as error:
        assert str(error).isprintable() and len(str(error)) < 1500
        return
    assert (network.image_size, network.lr_mlp) == (config["image_size"], config["lr_mlp"])
    assert {v for v in config["attn_layers"] if v <= 3} == {1}
    assert not config["transparent"] and not config["no_const"]
    assert config.get("latent_dim", 8) == 8 and config.get("style_depth", 2) == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("image_size", 64, "image_size 64, the tensors say 16"),
        ("network_capacity", 4, r"network_capacity 4, the tensors have channels [16, 8, 4]"),
        ("fmap_max", 8, "network_capacity 2 and fmap_max 8, the tensors have channels [16, 8, 4]"),
        ("transparent", True, "transparent True, the tensors say False"),
        ("no_const", True, "no_const True, the tensors say False"),
        ("attn_layers", [1, 2], "attn_layers [1, 2], the tensors say [1]"),
        ("attn_layers", [], "attn_layers [], the tensors say [1]"),
        ("latent_dim", 512, "latent_dim 512, the tensors say 8"),
        ("style_depth", 8, "style_depth 8, the tensors say 2"),
    ],
)
def test_a_contradiction_names_both_values(name, value, said):
    tree = {"GAN": state(), "version": "1.5.10"}
    assert f".config.json says {said}" in refusal(tree, CONFIG | {name: value})
    options = {name: value} | ({"network_capacity": 2} if name == "fmap_max" else {})
    assert f"it was given {said}" in refusal(tree, None, options)


def test_lr_mlp_is_told_once():
    tree = {"GAN": state(), "version": "1.5.10"}
    assert lucid.from_tree(tree, CONFIG, {"lr_mlp": 0.1}).assumed == ()
    line = refusal(tree, CONFIG, {"lr_mlp": 0.2})
    assert ".config.json says lr_mlp 0.1, it was given lr_mlp 0.2" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"capacity": 16}, "no option is called 'capacity'; there are image_size"),
        ({"lr_mlp": "0.1"}, "lr_mlp is '0.1', needs a number"),
        ({"lr_mlp": 0}, "lr_mlp is 0, needs a number"),
        ({"lr_mlp": float("nan")}, "lr_mlp is nan"),
        ({"lr_mlp": 10**400}, "lr_mlp is 1000"),
        ({"image_size": 100}, "image_size is 100, needs a power of two from 4 to 2048"),
        ({"attn_layers": [0]}, r"attn_layers is [0], needs a list of whole numbers"),
        ({"transparent": 1}, "transparent is 1, needs true or false"),
    ],
)
def test_a_wrong_option_is_named(options, said, tmp_path):
    for use in (lambda: lucid.from_tree({"GAN": state()}, None, options), lambda: lucid.load(tmp_path, options)):
        with pytest.raises(dsb_fast.InputError) as raised:
            use()
        assert said in str(raised.value)


def test_options_that_are_true_are_accepted():
    options = {"image_size": 16, "network_capacity": 2, "fmap_max": 512, "attn_layers": 1, "lr_mlp": None}
    assert lucid.from_tree({"GAN": state()}, None, options).assumed == ("lr_mlp", "version")


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"3", b"{", b'{"image_size": 16, "image_size": 16}', b'{"lr_mlp": NaN}', b'{"lr_mlp": 1e999}',
        b"[" * 60000, b'{"a": ' * 9000 + b"1" + b"}" * 9000, b'{"image_size": ' + b"9" * 60000 + b"}", b"\xff\xfe{",
        b" " * (lucid_config.LARGEST_FILE + 1), b'{"attn_layers": [' + b"1," * 30000 + b"1]}",
    ],
)  # fmt: skip
def test_a_config_that_is_none_is_refused(text, tmp_path):
    path = tmp_path / ".config.json"
    path.write_bytes(text)
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        lucid_config.read(str(path))
    assert str(raised.value).startswith(f"{path}: ") and str(raised.value).isprintable()
    assert len(str(raised.value)) < len(str(path)) + 200


def test_a_folder_or_a_dangling_link_is_no_config(data, tmp_path):
    (tmp_path / "model_1.pt").write_bytes((data / "unsafe/lucid/ok/model_1.pt").read_bytes())
    for make in ((tmp_path / ".config.json").mkdir, lambda: (tmp_path / ".config.json").symlink_to("absent")):
        make()
        with pytest.raises(dsb_fast.CheckpointError, match=r"\.config\.json: "):
            lucid.load(tmp_path)
        (tmp_path / ".config.json").rmdir() if not (tmp_path / ".config.json").is_symlink() else None


def test_names_alone_build_nothing():
    """Indices, depths and sizes that no file of this size can hold."""
    few = dict(state())
    for name in ("GE.blocks.999999.conv1.weight", "GE.blocks.30.conv1.weight", "SE.net.99998.weight"):
        tracemalloc.start()
        line = refusal({"GAN": few | {name: few["SE.net.0.weight"]}})
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
        assert "at most 64" in line or "2048 pixels" in line


def test_one_storage_can_not_become_many_tensors():
    values = np.zeros(8 * 8 + 64, np.float32)
    storage = Storage("0", "f4", values.size, values.tobytes)
    views = {f"SE.net.{2 * k}.weight": Tensor(storage, k, (8, 8), (8, 1)) for k in range(40)}
    biases = {f"SE.net.{2 * k}.bias": Tensor(storage, k, (8,), (1,)) for k in range(40)}
    rest = {name: value for name, value in state().items() if name.startswith("GE.")}
    line = refusal({"GAN": rest | views | biases})
    assert "its tensors overlap: " in line


def test_tied_tensors_are_kept_once():
    tied = state() | {name.replace("SE.", "S.", 1): value for name, value in state().items() if name.startswith("SE.")}
    network = lucid.from_tree({"GAN": tied})
    one, two = network.networks["ema"].mapping, network.networks["plain"].mapping
    assert all(one[name] is two[name] for name in one)


def test_blurs_with_other_taps_are_refused():
    name = "G.blocks.0.to_rgb.upsample.1.f"
    line = refusal({"GAN": state() | {name: tensor([1, 3, 1])}})
    assert f"{name} is [1.0, 3.0, 1.0], needs [1, 2, 1]" in line


def test_a_generator_of_five_colours_is_refused():
    five = dict(state())
    for name in five:
        if name.startswith("GE.") and name.endswith("to_rgb.conv.weight"):
            five[name] = tensor(np.ones((5, *five[name].shape[1:])))
    assert "makes 5 channels, needs 3, or 4 for transparent images" in refusal({"GAN": five})


def test_a_config_that_json_wrote_is_read_back(tmp_path):
    path = tmp_path / ".config.json"
    path.write_text(json.dumps(CONFIG))
    assert lucid_config.read(str(path)) == CONFIG

"""NVIDIA network pickles: read as they were written, refused in one line wherever they contradict themselves."""

from __future__ import annotations

import json
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from dsb_fast.export import nv_modules, nv_pickle, nvlabs
from dsb_fast.export.torch_file import Storage, Tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from references import nv_network
from references.nv_network import dumps, generator, state_dict

import dsb_fast

pytestmark = pytest.mark.variant_independent

GOLDEN = ["ada32_uncond_skip", "ada64_cond_resnet", "sg3repo32_uncond_resnet", "sg3repo64_cond_skip"]


def _read(tree, network: str = "ema", protocol: int = 4, numpy_1: bool = False) -> nvlabs.NvNetwork:
    return nvlabs.from_tree(nv_pickle.parse(dumps(tree, protocol, numpy_1)), network)


def refusal(tree, network: str = "ema") -> str:
    """The line that refuses a tree, which is written and read first."""
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        _read(tree, network)
    line = str(raised.value)
    assert line.isprintable() and len(line) < 1200, line
    return line


def _same(tensors, expected) -> None:
    assert set(tensors) == set(expected)
    for name, values in tensors.items():
        assert values.dtype == np.float32 and values.shape == expected[name].shape, name
        assert values.tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_networks_are_read_bit_for_bit(name, data):
    said = json.loads((data / f"nvlabs/{name}.json").read_text())
    network = nvlabs.from_file(data / f"nvlabs/{name}.pkl")
    with np.load(data / f"nvlabs/{name}.state.npz") as state:
        _same(network.tensors, dict(state))
    kwargs = said["init_kwargs"]
    asked = {"architecture": "skip", **kwargs.get("synthesis_kwargs", kwargs)}
    assert network.family == ("ada" if "ada" in said["repository"] else "sg3repo")
    assert (network.resolution, network.img_channels) == (kwargs["img_resolution"], kwargs["img_channels"])
    assert (network.z_dim, network.c_dim, network.w_dim) == tuple(kwargs[key] for key in ("z_dim", "c_dim", "w_dim"))
    assert (network.num_ws, network.architecture) == (said["num_ws"], asked["architecture"])
    assert network.mapping.num_layers == kwargs["mapping_kwargs"]["num_layers"]
    assert network.mapping.embed_features == (kwargs["w_dim"] if kwargs["c_dim"] else 0)
    assert (network.mapping.lr_multiplier, network.mapping.activation) == (0.01, "lrelu")
    sides = [4 << k for k in range(said["num_ws"] // 2)]
    assert network.synthesis.channels == {k: min(asked["channel_base"] // k, asked["channel_max"]) for k in sides}
    assert (network.synthesis.conv_clamp, network.synthesis.num_fp16_res) == (None, 0)
    assert network.synthesis.resample_filter == (1, 3, 3, 1) and network.synthesis.use_noise
    assert network.networks == ("ema", "plain") and network.network == "ema"
    assert (network.w_avg == network.tensors["mapping.w_avg"]).all()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_trained_network_is_another(name, data):
    plain, ema = (nvlabs.from_file(data / f"nvlabs/{name}.pkl", network) for network in ("plain", "ema"))
    assert plain.network == "plain" and plain.synthesis == ema.synthesis and plain.mapping == ema.mapping
    assert (plain.tensors["synthesis.b4.const"] != ema.tensors["synthesis.b4.const"]).any()


@pytest.mark.parametrize("family", ["ada", "sg3repo"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_and_numpy_is_read(family, protocol):
    tree = {"G": None, "D": None, "G_ema": generator(family), "training_set_kwargs": nv_network.EasyDict(path="x")}
    for numpy_1 in [False, True] if protocol < 4 else [False]:
        network = _read(tree, protocol=protocol, numpy_1=numpy_1)
        _same(network.tensors, state_dict(tree["G_ema"]))
        assert network.family == family and network.networks == ("ema",)


OPTIONS = [
    {"synthesis": {"architecture": "orig", "channel_base": 64, "channel_max": 3}, "img_resolution": 16},
    {"synthesis": {"architecture": "resnet", "channel_base": 16, "channel_max": 2, "conv_clamp": 0.5}},
    {"synthesis": {"channel_base": 16, "channel_max": 2, "use_noise": False, "activation": "swish", "kernel_size": 1}},
    {"synthesis": {"channel_base": 16, "channel_max": 2, "resample_filter": [1, 2, 3, 4, 4, 3, 2, 1]}},
    {"synthesis": {"channel_base": 16, "channel_max": 2, "resample_filter": [[1, 2], [3, 4]]}},
    {"synthesis": {"channel_base": 16, "channel_max": 2, "resample_filter": None}},
    {"mapping": {"num_layers": 3, "embed_features": 5, "layer_features": 7, "activation": "elu"}, "c_dim": 4},
    {"mapping": {"num_layers": 2, "layer_features": 3, "lr_multiplier": 1, "w_avg_beta": None}, "z_dim": 6},
    {"mapping": {}, "synthesis": {"channel_base": 8, "channel_max": 1, "num_fp16_res": 2, "conv_clamp": 256}},
    {"img_channels": 1, "w_dim": 9, "img_resolution": 32, "synthesis": {"channel_base": 64, "channel_max": 5}},
]


@pytest.mark.parametrize("family", ["ada", "sg3repo"])
@pytest.mark.parametrize("options", OPTIONS)
def test_whatever_init_kwargs_can_ask_for(family, options):
    made = generator(family, **options)
    network = _read({"G_ema": made})
    _same(network.tensors, state_dict(made))
    synthesis, mapping = options.get("synthesis", {}), options.get("mapping", {"num_layers": 1})
    defaults = nv_network.DEFAULTS[family]
    assert network.architecture == synthesis.get("architecture", "skip")
    assert network.synthesis.conv_clamp == synthesis.get("conv_clamp", defaults["conv_clamp"])
    assert network.synthesis.num_fp16_res == synthesis.get("num_fp16_res", defaults["num_fp16_res"])
    assert network.synthesis.use_noise is synthesis.get("use_noise", True)
    assert network.synthesis.activation == synthesis.get("activation", "lrelu")
    assert network.mapping.layer_features == mapping.get("layer_features", network.w_dim)
    assert network.mapping.num_layers == mapping.get("num_layers", 8)
    assert network.mapping.lr_multiplier == mapping.get("lr_multiplier", 0.01)
    assert (network.w_avg is None) == (mapping.get("w_avg_beta", 0) is None)


def test_positional_arguments_and_frozen_layers_are_read():
    made = generator("sg3repo", mapping={"num_layers": 1, "freeze_layers": 1})
    fc = made["mapping.fc0"].state
    fc["_buffers"] = {name: value.data for name, value in fc["_parameters"].items()}
    fc["_parameters"] = {}
    kwargs = made.state["_init_kwargs"]
    made.state["_init_args"] = tuple(kwargs.pop(name) for name in ("z_dim", "c_dim", "w_dim"))
    assert _read({"G_ema": made}).z_dim == 2


def _set(made, name, value):
    *path, last = name.split(".")
    values = made.state["_init_kwargs"]
    for part in path:
        values = values[part]
    values[last] = value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("img_resolution", 16, "img_resolution is 16, the tensors say 8"),
        ("img_resolution", 12, "img_resolution is 12, needs a power of two from 8 to 2048"),
        ("img_channels", 4, "img_channels is 4, the tensors say 3"),
        ("z_dim", 512, "z_dim is 512, the tensors say 2"),
        ("w_dim", 512, "w_dim is 512, the tensors say 2"),
        ("c_dim", 10, "c_dim is 10, the tensors say 0"),
        ("c_dim", "0", "c_dim is '0', needs a whole number"),
        ("mapping_kwargs.num_layers", 8, "mapping_kwargs.num_layers is 8, the tensors say 1"),
        ("mapping_kwargs.lr_multiplier", 0.02, "mapping.fc0.weight_gain is"),
        ("mapping_kwargs.activation", "relu", "mapping.fc0.activation is lrelu, init_kwargs make it relu"),
        ("mapping_kwargs.activation", "gelu", "mapping_kwargs.activation is gelu, needs one of linear"),
        ("mapping_kwargs.w_avg_beta", None, "mapping.w_avg is not part of such a network"),
        ("mapping_kwargs.style_mixing", 1, "init_kwargs have mapping_kwargs.style_mixing, which is not known here"),
        ("synthesis_kwargs.channel_base", 4, "channel_base 4 is too small for 8 pixels"),
        ("synthesis_kwargs.channel_max", 1, "make channels [1, 1], the tensors have [2, 2]"),
        ("synthesis_kwargs.architecture", "orig", "synthesis.b4.torgb.weight is not part of such a network"),
        ("synthesis_kwargs.architecture", "resnet", "synthesis.b8.skip.weight is missing"),
        ("synthesis_kwargs.architecture", "unet", "needs one of skip, resnet, orig"),
        ("synthesis_kwargs.conv_clamp", 256, "conv_clamp is None, init_kwargs make it 256"),
        ("synthesis_kwargs.conv_clamp", float("nan"), "synthesis_kwargs.conv_clamp is nan, needs a number"),
        ("synthesis_kwargs.use_noise", False, "noise_strength is not part of such a network"),
        ("synthesis_kwargs.resample_filter", [1, 2, 2, 1], "not the filter that init_kwargs ask for, [1, 2, 2, 1]"),
        ("synthesis_kwargs.resample_filter", [1, 2, 1], "resample_filter is [4, 4], needs [3, 3]"),
        ("synthesis_kwargs.resample_filter", [1, -1], "needs a list of at most 64 taps with a sum"),
        ("synthesis_kwargs.resample_filter", [1e9, 1.0, -1e9, 1.0], "is not the filter that init_kwargs ask for"),
        ("synthesis_kwargs.kernel_size", 5, "needs [2, 2, 5, 5]"),
        ("channel_base", 16, "init_kwargs have channel_base, which is not known here"),
        ("synthesis_kwargs", None, "synthesis_kwargs is None, needs a dict"),
        ("mapping_kwargs.num_layers", 10**40, "num_layers is a huge number"),
    ],
)  # fmt: skip
def test_a_contradiction_names_both_sides(name, value, said):
    made = generator("ada")
    _set(made, name, value)
    assert said in refusal({"G_ema": made})
    assert said in refusal({"G_ema": generator("ada"), "G": made})  # whichever is asked for


def test_all_that_is_wrong_is_named():
    made = generator("ada")
    for name, value in (("img_channels", 4), ("w_dim", 3), ("mapping_kwargs.num_layers", 2)):
        _set(made, name, value)
    line = refusal({"G_ema": made})
    assert all(f"{name} is" in line for name in ("img_channels", "w_dim", "mapping_kwargs.num_layers"))
    del made.state["_init_kwargs"]["z_dim"], made.state["_init_kwargs"]["c_dim"]
    line = refusal({"G_ema": made})
    assert "lack z_dim" in line and "lack c_dim" in line


def test_the_other_repositorys_spelling_is_refused():
    made = generator("sg3repo")
    made.state["_init_kwargs"]["synthesis_kwargs"] = {"conv_clamp": None}
    assert "init_kwargs have synthesis_kwargs, which is not known here" in refusal({"G_ema": made})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["G", "G_ema"])
def test_values_that_are_not_finite_are_refused_in_either_network(key, value):
    tree = {"G": generator(seed=1), "G_ema": generator(seed=2)}
    tree[key]["synthesis.b8.conv0"].state["_parameters"]["weight"][0, 0, 1, 1] = value
    for network in ("ema", "plain"):
        line = refusal(tree, network)
        assert f"network {key}: synthesis.b8.conv0.weight has values that are not finite" in line


def _tensors_of(made, name):
    return made[name].state["_parameters"]


def test_tensors_missing_too_many_misshapen_or_of_whole_numbers_are_named():
    made = generator()
    parameters = _tensors_of(made, "synthesis.b8.conv1")
    del parameters["bias"]
    assert "synthesis.b8.conv1.bias is missing" in refusal({"G_ema": made})
    parameters["bias"] = torch.zeros(2, dtype=torch.int64)
    assert "synthesis.b8.conv1.bias is no tensor of floating point numbers" in refusal({"G_ema": made})
    parameters["bias"] = torch.zeros(3)
    assert "synthesis.b8.conv1.bias is [3], needs [2]" in refusal({"G_ema": made})
    parameters["bias"], parameters["gamma"] = torch.zeros(2), torch.zeros(2)
    assert "synthesis.b8.conv1.gamma is not part of such a network" in refusal({"G_ema": made})
    del parameters["gamma"]
    parameters["weight"] = torch.zeros(1).expand(2, 2, 3, 3)
    assert "in a storage of 1 values" in refusal({"G_ema": made})


def test_tensors_of_other_types_and_strides_become_float32():
    made = generator()
    parameters = _tensors_of(made, "synthesis.b8.conv1")
    expected = parameters["weight"].numpy().copy()
    parameters["weight"] = parameters["weight"].data.double().contiguous(memory_format=torch.channels_last)
    assert (_read({"G_ema": made}).tensors["synthesis.b8.conv1.weight"] == expected).all()


def test_one_storage_can_not_become_many_tensors():
    tree = nv_pickle.parse(dumps({"G_ema": generator(w_dim=64, z_dim=64)}))
    modules, tensors, _ = nv_modules.collect(tree["G_ema"])
    storage = Storage("0", "f4", 140, lambda: bytes(4 * 140))

    def tie(step: int):
        for index, name in enumerate(name for name in tensors if name.endswith("affine.weight")):
            tied = Tensor(storage, step * index, (2, 64), (64, 1))
            modules[name.removesuffix(".weight")].state["_parameters"]["weight"] = tied
        return nvlabs.from_tree(tree).tensors

    same = tie(0)
    assert same["synthesis.b4.conv1.affine.weight"] is same["synthesis.b8.conv1.affine.weight"]
    with pytest.raises(dsb_fast.CheckpointError, match="its tensors overlap"):
        tie(1)


def test_attributes_that_the_images_depend_on_are_compared():
    for path, name, value in (
        ("synthesis.b8.conv0", "up", 1), ("synthesis.b8.conv0", "act_gain", 1.0), ("synthesis.b4", "is_last", True),
        ("synthesis.b4.torgb", "weight_gain", np.float64(1)), ("mapping", "num_ws", 3),
        ("synthesis.b4", "resolution", 8),
    ):  # fmt: skip
        made = generator()
        made[path].state[name] = value
        assert f"{path}.{name} is" in refusal({"G_ema": made})
    made = generator()
    made["synthesis.b4.conv1"].class_name = "MySynthesisLayer"
    assert "synthesis.b4.conv1 is a MySynthesisLayer, needs a SynthesisLayer" in refusal({"G_ema": made})


def test_other_networks_are_named():
    inner = nv_network.Module("SynthesisInput")
    layers = {"input": inner, "L0_36_512": nv_network.Module("SynthesisLayer", down_filter=np.ones(3))}
    synthesis = nv_network.Module("SynthesisNetwork", modules=layers)
    alias_free = nv_network.Module("Generator", modules={"synthesis": synthesis})
    for protocol in (2, 3, 4, 5):
        with pytest.raises(
            dsb_fast.CheckpointError, match=r"a StyleGAN3 .alias-free. network; of NVIDIA's, StyleGAN2 is"
        ):
            _read({"G_ema": alias_free}, protocol=protocol)
    encoder = nv_network.Module("Encoder")
    assert "a network of class Encoder, which is no StyleGAN2 generator" in refusal({"G_ema": encoder})
    assert "it has no network 'plain' (G); there is 'ema'" in refusal({"G_ema": generator()}, "plain")
    assert "its G is a dict, needs a network" in refusal({"G": {}, "G_ema": generator()})
    assert "looks like a model of stylegan2-pytorch (lucidrains)" in refusal({"GAN": {}, "version": "1.5.10"})
    assert "it holds [1, 2]; checkpoints of" in refusal([1, 2])
    with pytest.raises(dsb_fast.InputError, match="an NVIDIA file has 'ema'"):
        nvlabs.from_tree({}, "G_ema")


def test_a_tensorflow_network_is_named(monkeypatch):
    class Network:
        pass

    Network.__module__, Network.__qualname__ = "dnnlib.tflib.network", "Network"
    for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["dnnlib.tflib.network"].Network = Network
    raw = pickle.dumps((Network(), Network(), Network()), 2)
    with pytest.raises(dsb_fast.CheckpointError, match=r"a TensorFlow network of StyleGAN.*legacy\.py"):
        nv_pickle.parse(raw)


@pytest.mark.parametrize(
    "name", ["nv_reduce_nested.pkl", "nv_reduce_state.pkl", "reduce_plain.pkl", "reduce_legacy.pt"]
)
def test_traps_are_refused_and_nothing_runs(name, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = data / "unsafe" / name
    with pytest.raises(dsb_fast.CheckpointError, match=r"asks for 'io\.open'.*nothing was executed") as raised:
        nvlabs.from_file(path)
    assert str(raised.value).startswith(f"{path}: ") and not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [{"type": "function"}, {"version": 7}, {"class_name": 3}, {"state": []}])
def test_records_of_another_form_are_refused(change):
    meta = {"type": "class", "version": 6, "module_src": "", "class_name": "Generator", "state": {}} | change
    with pytest.raises(dsb_fast.CheckpointError, match="it has a module"):
        nv_pickle._module(meta)


def test_modules_that_contain_themselves_end():
    root = nv_pickle.parse(dumps({"G_ema": generator()}))["G_ema"]
    root.state["_modules"]["synthesis"].state["_modules"]["again"] = root
    with pytest.raises(dsb_fast.CheckpointError, match="more modules than a generator"):
        nvlabs.from_tree({"G_ema": root})


def test_a_short_file_can_not_name_many_tensors():
    """Modules that share one dictionary, and names as long as the file."""
    parsed = nv_pickle.parse(dumps({"G_ema": generator()}))
    root, tensor = parsed["G_ema"], nv_modules.collect(parsed["G_ema"])[1]["mapping.w_avg"]
    many = nv_pickle.Module("X", {"_parameters": {f"p{k}": tensor for k in range(5000)}})
    root.state["_modules"]["synthesis"].state["_modules"] |= {f"x{k}": many for k in range(500)}
    with pytest.raises(dsb_fast.CheckpointError, match="more tensors than a generator"):
        nvlabs.from_tree(parsed)
    for name in ("x" * 10_000, "a.b", "", 3):
        root.state["_modules"] = {name: root}
        with pytest.raises(dsb_fast.CheckpointError, match="which is no name"):
            nvlabs.from_tree(parsed)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 40), st.integers(), st.floats(), st.text(max_size=3),
                   st.lists(st.integers(-2, 4), max_size=9),
                   st.dictionaries(st.text(max_size=2), st.integers()))  # fmt: skip
NAMES = ["z_dim", "c_dim", "img_resolution", "img_channels", "mapping_kwargs", "mapping_kwargs.num_layers",
         "mapping_kwargs.embed_features", "mapping_kwargs.layer_features", "mapping_kwargs.lr_multiplier",
         "synthesis_kwargs", "synthesis_kwargs.channel_base", "synthesis_kwargs.channel_max",
         "synthesis_kwargs.resample_filter", "synthesis_kwargs.kernel_size",
         "synthesis_kwargs.conv_clamp", "x"]  # fmt: skip
PARSED = nv_pickle.parse(dumps({"G_ema": generator()}))


@given(st.sampled_from(NAMES), VALUES)
@settings(max_examples=300, deadline=None)
def test_any_argument_is_true_of_the_tensors_or_refused(name, value):
    root = PARSED["G_ema"]
    before = root.state["_init_kwargs"]
    kwargs = {key: dict(inner) if isinstance(inner, dict) else inner for key, inner in before.items()}
    root.state["_init_kwargs"] = kwargs
    try:
        *path, last = name.split(".")
        (kwargs[path[0]] if path else kwargs)[last] = value
        network = nvlabs.from_tree(PARSED)
        assert (network.z_dim, network.resolution, network.img_channels) == (2, 8, 3)
        assert network.synthesis.channels == {4: 2, 8: 2} and network.mapping.num_layers == 1
    except dsb_fast.CheckpointError as error:
        assert str(error).isprintable() and len(str(error)) < 1200
    finally:
        root.state["_init_kwargs"] = before

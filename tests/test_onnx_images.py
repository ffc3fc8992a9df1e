"""Image graphs that are not trusted: every kind that is exported is admitted, what is changed in it is refused."""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np
import onnx
import pytest
from dsb_fast.export import lucid, lucid_graph, lucid_portable, onnx_file, onnx_kinds, onnx_sizes
from hostile.graphs import mutate, set_attribute
from onnx import TensorProto, helper, numpy_helper
from references import gitract_checkpoint, images

import dsb_fast

pytestmark = pytest.mark.variant_independent


@cache
def _network(folder):
    checkpoint, _ = lucid.load(folder)
    return checkpoint.networks["ema"], checkpoint.lr_mlp


def _graphs(data, name: str) -> dict[tuple[str, str], onnx.ModelProto]:
    """Every graph of a golden checkpoint by flavour and kind."""
    part, lr_mlp = _network(images.folder(data, name))
    whole = part.mapping, part.generator, images.golden(data, name)["av_S"], lr_mlp
    models = [
        *(("portable", m) for m in _of_flavour(lucid_portable, "build", *whole)),
        ("portable", lucid_portable.build_fidelity(*whole)),
        *(("fused", m) for m in _of_flavour(lucid_graph, "build_fused", *whole)),
    ]
    return {(flavour, model.graph.name): model for flavour, model in models}


def _of_flavour(module, name, mapping, generator, mean, lr_mlp):
    yield getattr(module, name)(mapping, generator, mean, lr_mlp)
    yield getattr(module, f"{name}_mapping")(mapping, lr_mlp)
    yield getattr(module, f"{name}_synthesis")(generator)


def _file(model: onnx.ModelProto, flavour: str, card: dict | None = None) -> bytes:
    properties = onnx_file.metadata("digestive.gitract", flavour, "0" * 64, "MIT", "none", card or {})
    return onnx_file.serialise(model, properties)[0]


@pytest.mark.parametrize("name", images.NAMES)
def test_whatever_is_exported_is_admitted(data, name):
    golden = images.golden(data, name)
    size, latent, channels = golden["noise"].shape[1], golden["z"].shape[1], golden["img_S_raw"].shape[1]
    shapes = {"z": (latent,), "noise": (size, size), "truncation_psi": (), "image": (channels, size, size)}
    graphs = _graphs(data, name)
    assert len(graphs) == 7
    for (flavour, kind), model in graphs.items():
        exported = onnx_file.check(_file(model, flavour, {"family": "lucid"}))
        assert exported.properties["flavour"] == flavour and exported.card == {"family": "lucid"}
        rows = {"w": (golden["styles_S"].shape[1], latent) if kind == "lucid_synthesis" else (latent,)}
        found = exported.inputs | exported.outputs
        assert found == {key: (shapes | rows)[key] for key in found}
        assert (kind == "lucid_mapping") == (exported.largest == latent)
        assert exported.model.graph.name == kind


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 1024, "capacity": 1, "latent_dim": 8, "attn_layers": (1, 2, 9)},
        {"image_size": 512, "capacity": 16, "latent_dim": 8, "attn_layers": ()},
        {"image_size": 8, "capacity": 16, "latent_dim": 8, "attn_layers": (1, 2), "no_const": True},
        {"image_size": 8, "capacity": 512, "latent_dim": 2, "attn_layers": (2,)},
    ],
)
def test_sizes_of_large_and_of_small_networks_are_in_proportion(options):
    tensors = {k: v.numpy() for k, v in gitract_checkpoint.state_dict(style_depth=1, **options).items() if k[0] == "G"}
    generator = {k[2:]: v for k, v in tensors.items() if k.startswith("G.") and not k.endswith(".f")}
    size = options["image_size"]
    for builder in (lucid_portable, lucid_graph):
        portable = builder is lucid_portable
        model = builder.build_synthesis(generator) if portable else builder.build_fused_synthesis(generator)
        largest = onnx_sizes.check_sizes(model, onnx_kinds.kind_of(model.graph))
        attends = portable and 1 in options["attn_layers"]  # the operator keeps its queries to itself
        filters = (4 if portable else 2) * options["capacity"]  # an enlarged map is there, or made on the way
        widest = 512 * (size // 2) ** 2 if attends else filters * size * size
        assert largest >= min(widest, 512 * size * size)


def _first(model, op: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == op)


def _store(model, name: str, values) -> None:
    """Replace the constant of that name."""
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values), name))


def _resized(value, *sizes) -> None:
    dims = value.type.tensor_type.shape.dim
    for dim, size in zip(dims[1:], sizes, strict=True):
        dim.dim_value = size


def _port(model, name: str):
    return next(v for v in (*model.graph.input, *model.graph.output) if v.name == name)


def _insert(model, before: str, *nodes) -> None:
    """Nodes ahead of the first of that kind."""
    kept = list(model.graph.node)
    place = next(k for k, node in enumerate(kept) if node.op_type == before)
    del model.graph.node[:]
    model.graph.node.extend([*kept[:place], *nodes, *kept[place:]])


def _all_pairs(model) -> None:
    """A product that grows with the square of the batch."""
    model.graph.initializer.extend([numpy_helper.from_array(np.array([1]), "one")])
    nodes = [helper.make_node("Unsqueeze", ["z", "one"], ["apart"]), helper.make_node("Mul", ["apart", "z"], ["pairs"])]
    _insert(model, "ReduceL2", *nodes)


def _grown(model) -> None:
    nodes = [helper.make_node("Unsqueeze", ["noise", "one"], ["big0"])]
    nodes += [helper.make_node("Resize", [f"big{k}", "", "twice"], [f"big{k + 1}"], mode="linear") for k in range(20)]
    model.graph.initializer.extend([numpy_helper.from_array(np.array([1]), "one")])
    _insert(model, "ReduceL2", *nodes)


def _many(model) -> None:
    """No tensor is too large, all of them together are."""
    model.graph.initializer.extend([numpy_helper.from_array(np.array([1]), "one")])
    model.graph.initializer.extend([numpy_helper.from_array(np.zeros((900, 1, 1), np.float32), "gains")])
    nodes = [helper.make_node("Unsqueeze", ["noise", "one"], ["map"])]
    nodes += [helper.make_node("Mul", ["map", "gains"], [f"wide{k}"]) for k in range(30)]
    _insert(model, "ReduceL2", *nodes)


PORTABLE = {
    "a loop": (lambda m: m.graph.node.append(helper.make_node("NonZero", ["image"], ["more"])), "operators"),
    "a random operator": (
        lambda m: m.graph.node.append(helper.make_node("RandomNormalLike", ["image"], ["more"])),
        "operators",
    ),
    "an operator of a flavour that it is not": (
        lambda m: _insert(m, "ReduceL2", helper.make_node("Blur2d", ["z"], ["b"], domain="dsb_fast"))
        or m.opset_import.append(helper.make_opsetid("dsb_fast", 1)),
        "operators",
    ),
    "pixels that are doubled again and again": (_grown, "proportion"),
    "many wide tensors": (_many, "proportion"),
    "all pairs of a batch": (_all_pairs, "proportion"),
    "scales of a million": (lambda m: _store(m, "twice", np.array([1, 1, 1e6, 1e6], np.float32)), "size|fit"),
    "padding of a million": (lambda m: set_attribute(_first(m, "Conv"), "pads", [10**6] * 4), "strange|fit|size"),
    "a weight that is computed": (
        lambda m: _insert(
            m, "Conv", helper.make_node("LeakyRelu", [_first(m, "Conv").input[1]], ["computed"])
        ) or _first(m, "Conv").input.__setitem__(1, "computed"),
        "stored weight",
    ),
    "noise of another size": (lambda m: _resized(_port(m, "noise"), 4096, 4096), "noise"),
    "noise and image of another size": (
        lambda m: (_resized(_port(m, "noise"), 4096, 4096), _resized(_port(m, "image"), 3, 4096, 4096)),
        "size|fit",
    ),
    "a latent that the layers do not take": (
        lambda m: (_resized(_port(m, "z"), 77), _store(m, "mean_style", np.zeros(77, np.float32))), "fit|valid"
    ),
    "a mean style of another size": (lambda m: _store(m, "mean_style", np.zeros(1, np.float32)), "mean_style"),
    "a mean style that is no number": (
        lambda m: _store(m, "mean_style", np.full(_latent(m), np.nan, np.float32)), "not finite"
    ),
    "weights of another type": (lambda m: _store(m, "twice", np.array([1, 1, 2, 2], np.float64)), "type|valid"),
    "an input more": (
        lambda m: m.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["N", 1 << 40])),
        "inputs are",
    ),
    "an output more": (
        lambda m: m.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, ["N", _latent(m)])),
        "outputs are",
    ),
    "a batch that is fixed": (
        lambda m: setattr(_port(m, "z").type.tensor_type.shape.dim[0], "dim_value", 1 << 30), "batch"
    ),
    "a number that is a list": (
        lambda m: _port(m, "truncation_psi").CopyFrom(
            helper.make_tensor_value_info("truncation_psi", TensorProto.FLOAT, ["N"])
        ),
        "truncation_psi",
    ),
    "another name": (lambda m: setattr(m.graph, "name", "lucid_mapping"), "inputs are"),
    "a name of nothing": (lambda m: setattr(m.graph, "name", "x" * 10000), "called"),
}  # fmt: skip
FUSED = {
    "planes of a million": (lambda m: set_attribute(_first(m, "NoisePlane"), "size", 1 << 20), "strange|proportion"),
    "planes that are no number": (lambda m: set_attribute(_first(m, "NoisePlane"), "size", 4.0), "proportion"),
    "a shape of a million": (lambda m: set_attribute(_first(m, "Dense"), "shape", [1 << 20, 1 << 20]), "strange"),
    "a shape of other length": (lambda m: set_attribute(_first(m, "Dense"), "shape", [7, 7]), "fit"),
    "padding": (lambda m: set_attribute(_first(m, "ModulatedConv2d"), "padding", [60000] * 4), "proportion"),
    "padding that is one number": (lambda m: set_attribute(_first(m, "ModulatedConv2d"), "padding", 1), "fit"),
    "upsampling by a thousand": (lambda m: set_attribute(_first(m, "ModulatedConv2d"), "up", 1000), "strange"),
    "one head": (lambda m: set_attribute(_first(m, "Attention"), "heads", 1), "fit"),
    "an attribute that holds a tensor": (
        lambda m: set_attribute(_first(m, "Dense"), "gain", numpy_helper.from_array(np.zeros(3, np.float32))), "strange"
    ),
    "a gain that is no number": (lambda m: set_attribute(_first(m, "Dense"), "weight_gain", float("inf")), "strange"),
    "doubled again and again": (
        lambda m: _insert(m, "NormalizeLatent", helper.make_node("NoisePlane", ["noise"], ["up0"], domain="dsb_fast",
                                                                 size=32),
                          *(helper.make_node("UpsampleBilinear2d", [f"up{k}"], [f"up{k + 1}"], domain="dsb_fast")
                            for k in range(25))),
        "proportion",
    ),
    "a standard operator": (
        lambda m: _insert(m, "NormalizeLatent", helper.make_node("Neg", ["z"], ["negative"])), "operators"
    ),
    "an operator of signals": (
        lambda m: _insert(m, "NormalizeLatent", helper.make_node("Pulse2Pulse", ["noise"], ["x"], domain="dsb_fast")),
        "operators",
    ),
    "a layer without weight": (lambda m: _first(m, "FeedForward").input.__setitem__(1, "noise"), "stored weight"),
    "attention without weight": (lambda m: _first(m, "Attention").input.__setitem__(5, "noise"), "stored weight"),
    "attention with weights of another": (
        lambda m: _first(m, "Attention").input.__setitem__(3, _first(m, "Attention").input[5]), "fit"
    ),
    "a layer with weights of another": (
        lambda m: _first(m, "FeedForward").input.__setitem__(1, _first(m, "FeedForward").input[2]), "fit"
    ),
    "an output of another size": (lambda m: _resized(_port(m, "image"), 4, 64, 64), "another size"),
}  # fmt: skip


def _latent(model) -> int:
    return _port(model, "z").type.tensor_type.shape.dim[1].dim_value


def _refused(model, flavour: str, word: str) -> None:
    with pytest.raises(dsb_fast.CheckpointError, match=word) as raised:
        onnx_file.check(_file(model, flavour))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.parametrize("case", PORTABLE)
def test_broken_portable_graphs(data, case):
    change, word = PORTABLE[case]
    model = _graphs(data, "plain32")["portable", "lucid"]
    change(model)
    _refused(model, "portable", word)


@pytest.mark.parametrize("case", FUSED)
def test_broken_fused_graphs(data, case):
    change, word = FUSED[case]
    model = _graphs(data, "attn64")["fused", "lucid"]
    change(model)
    _refused(model, "fused", word)


def test_one_flavour_is_not_the_other(data):
    graphs = _graphs(data, "v190_attn32")
    _refused(graphs["portable", "lucid"], "fused", "operators")
    _refused(graphs["fused", "lucid"], "portable", "operators")
    _refused(graphs["fused", "lucid"], "other", "flavour")


def test_an_image_graph_is_no_ecg(tmp_path, data):
    properties = onnx_file.metadata("cardiovascular.ecg", "portable", "0" * 64, "MIT", "none", {})
    for kind in ("lucid", "lucid_mapping"):
        model = _graphs(data, "plain32")["portable", kind]
        (tmp_path / "x.onnx").write_bytes(onnx_file.serialise(model, properties)[0])
        with pytest.raises(dsb_fast.CheckpointError, match=r"x\.onnx"):
            dsb_fast.load(tmp_path / "x.onnx", device="cpu")


@pytest.mark.parametrize(("name", "flavour"), [("v190_attn32", "portable"), ("attn64", "fused")])
def test_whatever_is_changed_is_refused_in_one_line_or_in_proportion(data, name, flavour):
    original, rng, refused = _graphs(data, name)[flavour, "lucid"], Random(0), 0
    for _ in range(120):
        model = onnx.ModelProto()
        model.CopyFrom(original)
        mutate(model, rng)
        try:
            assert onnx_file.check(_file(model, flavour)).largest <= onnx_kinds.MAX_ELEMENTS
        except dsb_fast.CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 60

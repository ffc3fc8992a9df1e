"""Exported ONNX files that are not trusted: refused in one line unless they are what dsb_fast exports."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from dsb_fast.export import onnx_file
from onnx import TensorProto, helper, numpy_helper
from references.make_checkpoint import state_dict

import dsb_fast

pytestmark = pytest.mark.variant_independent


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> onnx.ModelProto:
    """A small exported graph of a foreign checkpoint."""
    folder = tmp_path_factory.mktemp("exported")
    torch.save(state_dict(6), folder / "net.pt")
    generator = dsb_fast.load(folder / "net.pt", device="cpu", card={"length": 2500})
    return onnx.load_model_from_string(generator.model.source.build(2500).model)


def _copy(model) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def _reseal(graph, **properties):
    """The file again with a digest that fits, so that other checks are reached."""
    kept = {p.key: p.value for p in graph.metadata_props if p.key != "graph_sha256"}
    return onnx_file.serialise(graph, {**kept, **properties})[0]


def _refuse(tmp_path, data: bytes, word: str):
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(dsb_fast.CheckpointError, match=word) as raised:
        dsb_fast.load(path, device="cpu")
    assert "\n" not in str(raised.value) and "x.onnx" in str(raised.value)


def test_whole_file_loads(tmp_path, exported):
    path = tmp_path / "x.onnx"
    path.write_bytes(exported.SerializeToString())
    generator = dsb_fast.load(path, device="cpu")
    assert generator.info["licence"] == "unknown" and generator.sample(2).shape == (2, 8, 2500)
    assert generator.info["assumed"] == ["scale", "unit", "sampling_rate_hz"]


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_cut_file(tmp_path, exported, size):
    _refuse(tmp_path, exported.SerializeToString()[:size], "x.onnx")


def test_changed_weight_is_noticed(tmp_path, exported):
    model = _copy(exported)
    raw = bytearray(model.graph.initializer[0].raw_data)
    raw[0] ^= 1
    model.graph.initializer[0].raw_data = bytes(raw)
    _refuse(tmp_path, model.SerializeToString(), "graph_sha256")


def test_not_exported_by_us(tmp_path, exported):
    model = _copy(exported)
    del model.metadata_props[:]
    _refuse(tmp_path, model.SerializeToString(), "not exported by dsb_fast")


def test_other_format_version_and_model(tmp_path, exported):
    _refuse(tmp_path, _reseal(_copy(exported), format_version="99"), "format version")
    _refuse(tmp_path, _reseal(_copy(exported), model="digestive.gitract"), "digestive.gitract")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"length": 5000}, "2500"), ({"leads": ["I"]}, "leads"), ({"scale": 1e9}, "scale"), ({"colour": 1}, "colour"),
        ({"assumed": 5}, "card"), ({"unit": "furlong"}, "unit"), ({"leads": 3}, "leads"),
    ],
)  # fmt: skip
def test_card_that_lies(tmp_path, exported, change, word):
    card = json.loads({p.key: p.value for p in exported.metadata_props}["card"])
    _refuse(tmp_path, _reseal(_copy(exported), card=json.dumps({**card, **change})), word)
    _refuse(tmp_path, _reseal(_copy(exported), card="[" * 100000), "card")
    _refuse(tmp_path, _reseal(_copy(exported), card="[]"), "card")


def test_weights_in_another_file_are_never_read(tmp_path, exported):
    model = _copy(exported)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"
    _refuse(tmp_path, _reseal(model), "x.onnx")


def test_values_that_are_not_finite(tmp_path, exported):
    model = _copy(exported)
    tensor = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    _refuse(tmp_path, _reseal(model), "not finite")


@pytest.mark.parametrize(
    ("kind", "domain"), [("Loop", ""), ("Exp", ""), ("Anything", "evil"), ("PyOp", "ai.onnx.contrib")]
)
def test_foreign_operators(tmp_path, exported, kind, domain):
    model = _copy(exported)
    model.graph.node.append(helper.make_node(kind, ["signal"], ["more"], domain=domain))
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    _refuse(tmp_path, _reseal(model), "operator|valid")


def test_sizes_out_of_proportion(tmp_path, exported):
    model = _copy(exported)
    name = "noise"
    for k in range(40):  # 2^40 times the input
        node = helper.make_node("Concat", [name, name], [f"big{k}"], axis=1)
        model.graph.node.append(node)
        name = f"big{k}"
    _refuse(tmp_path, _reseal(model), "proportion|valid")

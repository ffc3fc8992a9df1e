"""Exported graphs of NVIDIA's and rosinality's networks: all that are made are admitted, what is changed is refused."""

from __future__ import annotations

from random import Random

import numpy as np
import onnx
import pytest
from dsb_fast.export import nvlabs, onnx_file, onnx_kinds, stylegan2_graphs, stylegan2_network, stylegan2_parts
from hostile.graphs import mutate, set_attribute
from references import stylegan2_runs as runs
from references.nv_samples import pickled

import dsb_fast

pytestmark = pytest.mark.variant_independent

FLAVOURS, PARTS, NOISES = ("portable", "fused"), ("whole", "mapping", "synthesis"), ("input", "const", "none")


def _file(model: onnx.ModelProto, flavour: str) -> bytes:
    properties = onnx_file.metadata("nvidia-stylegan2", flavour, "0" * 64, "MIT", "none", {})
    return onnx_file.serialise(model, properties)[0]


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", [*runs.NVLABS, *runs.ROSINALITY])
def test_whatever_is_exported_is_admitted_and_can_be_cut(data, name, flavour):
    for noise in NOISES:
        whole, mapping, synthesis = (runs.graph(data, name, part, noise, flavour) for part in PARTS)
        network = runs.network(data, name)
        rows = network.num_ws, network.w_dim
        for model in (whole, mapping, synthesis):
            found = onnx_file.check(_file(_copy(model), flavour))
            shapes = found.inputs | found.outputs
            assert shapes.get("image", (3, 9, 9))[1:] in {(network.resolution,) * 2, (9, 9)}
            assert shapes.get("w", rows) == rows
        cut = stylegan2_parts.parts(whole, network.num_ws)
        for one, other in zip(cut, (mapping, synthesis), strict=True):
            assert one.graph.name == other.graph.name
            assert [n.op_type for n in one.graph.node] == [n.op_type for n in other.graph.node]
            assert {t.name for t in one.graph.initializer} == {t.name for t in other.graph.initializer}
            assert (one.graph.input, one.graph.output) == (other.graph.input, other.graph.output)


ARGUMENTS = [
    {"img_resolution": 1024, "synthesis": {"channel_base": 2048, "channel_max": 64}},
    {"family": "sg3repo", "img_resolution": 256, "synthesis": {"channel_base": 512, "architecture": "resnet"}},
    {"c_dim": 4000, "img_channels": 64, "z_dim": 3, "w_dim": 512},
    {"img_channels": 1, "synthesis": {"channel_base": 4096, "channel_max": 512, "architecture": "orig"}},
    {"mapping": {"num_layers": 3, "activation": "selu", "layer_features": 5, "embed_features": 2}, "c_dim": 2},
    {"synthesis": {"channel_base": 16, "activation": "softplus", "kernel_size": 7, "conv_clamp": 1}},
    {"synthesis": {"channel_base": 16, "activation": "swish", "kernel_size": 1, "resample_filter": None}},
    {"synthesis": {"channel_base": 16, "activation": "elu", "use_noise": False, "resample_filter": list(range(1, 13))}},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_sizes_of_all_sorts_of_networks_are_in_proportion(tmp_path, arguments):
    path = pickled(tmp_path / "x.pkl", **arguments)
    network = stylegan2_network.from_nvlabs(nvlabs.from_file(path))
    for flavour in FLAVOURS:
        for noise in ("input", "const"):
            model = stylegan2_graphs.build(network, "whole", noise, flavour)
            assert onnx_file.check(_file(model, flavour)).largest <= onnx_kinds.MAX_ELEMENTS


def _first(model, op: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == op)


def _rows(model, values) -> None:
    """Other numbers for the constant that styles are repeated by."""
    name = _first(model, "Expand").input[1]
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(values, np.int64), name))


CHANGES = {
    "upsampling by a thousand": ("fused", lambda m: set_attribute(_first(m, "ModulatedConv2d"), "up", 1000)),
    "a filter with large steps": ("fused", lambda m: set_attribute(_first(m, "UpFirDn2d"), "up", [1000, 1000])),
    "padding of many thousands": ("fused", lambda m: set_attribute(_first(m, "UpFirDn2d"), "padding", [60000] * 4)),
    "a filter that shrinks": ("fused", lambda m: set_attribute(_first(m, "UpFirDn2d"), "down", [2, 2])),
    "rows without end": ("fused", lambda m: _rows(m, [1, 1 << 40, 1])),
    "samples without end": ("fused", lambda m: _rows(m, [1 << 20, 10, 1])),
    "repeated for nobody": ("portable", lambda m: _rows(m, [1, 1 << 40, 1])),
    "enlarged by a thousand": ("portable", lambda m: set_attribute(_first(m, "ConvTranspose"), "strides", [1000] * 2)),
    "an operator of the other": ("portable", lambda m: setattr(_first(m, "ConvTranspose"), "op_type", "Resize")),
    "a plane more": (
        "portable",
        lambda m: m.graph.input.append(onnx.helper.make_tensor_value_info("noise_28", 1, ["N", 1, 1 << 20, 1 << 20])),
    ),
    "a plane of another size": (
        "portable",
        lambda m: setattr(m.graph.input[3].type.tensor_type.shape.dim[2], "dim_value", 1 << 30),
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_broken_graphs(data, case):
    flavour, change = CHANGES[case]
    model = _copy(runs.graph(data, "sg3repo64_cond_skip", "whole", "input", flavour))
    change(model)
    with pytest.raises(dsb_fast.CheckpointError) as raised:
        onnx_file.check(_file(model, flavour))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.parametrize(("name", "flavour"), [("ada64_cond_resnet", "portable"), ("sg3repo64_cond_skip", "fused")])
def test_whatever_is_changed_is_refused_in_one_line_or_in_proportion(data, name, flavour):
    original, rng, refused = runs.graph(data, name, "whole", "input", flavour), Random(0), 0
    for _ in range(120):
        model = _copy(original)
        mutate(model, rng)
        try:
            assert onnx_file.check(_file(model, flavour)).largest <= onnx_kinds.MAX_ELEMENTS
        except dsb_fast.CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 60

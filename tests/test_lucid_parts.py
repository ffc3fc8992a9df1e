"""Mapping and synthesis cut out of a whole graph are those that are built alone, in both flavours."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from dsb_fast.export import lucid, lucid_graph, lucid_parts, lucid_portable, whole_graph
from references import images
from references.arrays import identical

import dsb_fast

pytestmark = pytest.mark.variant_independent
BUILDERS = {
    "portable": (lucid_portable.build, lucid_portable.build_mapping, lucid_portable.build_synthesis),
    "fused": (lucid_graph.build_fused, lucid_graph.build_fused_mapping, lucid_graph.build_fused_synthesis),
}


@pytest.fixture(scope="module", params=images.NAMES)
def network(request, data):
    """A golden network: mapping, generator, mean style, lr_mlp."""
    checkpoint, _ = lucid.load(images.folder(data, request.param))
    part = checkpoint.networks["plain"]
    return part.mapping, part.generator, images.golden(data, request.param)["av_S"], checkpoint.lr_mlp


def _whole(network, flavour) -> onnx.ModelProto:
    return BUILDERS[flavour][0](*network)


def _same(one: onnx.ModelProto, other: onnx.ModelProto) -> None:
    """Assert that graphs are equal but for the order of their constants."""
    for values in ("node", "input", "output"):
        ours, theirs = ([v.SerializeToString() for v in getattr(m.graph, values)] for m in (one, other))
        assert ours == theirs
    constants = [{t.name: t.SerializeToString() for t in m.graph.initializer} for m in (one, other)]
    assert constants[0] == constants[1] and one.graph.name == other.graph.name


@pytest.mark.parametrize("flavour", BUILDERS)
def test_parts_are_those_that_are_built_alone(network, flavour):
    mapping, generator, mean, lr_mlp = network
    _, build_mapping, build_synthesis = BUILDERS[flavour]
    whole = _whole(network, flavour)
    before = whole.SerializeToString(deterministic=True)
    first, second = lucid_parts.parts(whole)
    assert whole.SerializeToString(deterministic=True) == before, "the whole graph was changed"
    _same(first, build_mapping(mapping, lr_mlp))
    _same(second, build_synthesis(generator))
    identical(whole_graph.mean_style(whole), mean.reshape(-1))


def _renamed(whole: onnx.ModelProto, old: str, new: str) -> None:
    for tensor in whole.graph.initializer:
        tensor.name = new if tensor.name == old else tensor.name
    for node in whole.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def _strange_names(whole):
    for node in whole.graph.node:
        node.name = "x"


def _block_missing(whole):
    for node in whole.graph.node:
        node.name = node.name.replace("blocks.1.", "blocks.9.")


def _joined(whole):
    """The synthesis reads the mapping's input."""
    last = whole.graph.node[-1]
    last.input[0] = "z"


BROKEN = {
    "no mean style": lambda whole: _renamed(whole, "mean_style", "other"),
    "no w": lambda whole: _renamed(whole, "w", "v"),
    "no node before": lambda whole: whole.graph.node[:].clear() or whole.graph.ClearField("node"),
    "strange names": _strange_names,
    "block missing": _block_missing,
    "joined": _joined,
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("flavour", BUILDERS)
def test_what_is_no_whole_network_is_refused_in_one_line(data, flavour, case):
    checkpoint, _ = lucid.load(images.folder(data, "plain32"))
    part = checkpoint.networks["plain"]
    mean = images.golden(data, "plain32")["av_S"]
    whole = _whole((part.mapping, part.generator, mean, checkpoint.lr_mlp), flavour)
    BROKEN[case](whole)
    with pytest.raises(dsb_fast.CheckpointError, match="no whole image network") as raised:
        lucid_parts.parts(whole)
    assert "\n" not in str(raised.value)


def test_a_part_has_no_mean_style(network):
    with pytest.raises(dsb_fast.CheckpointError, match="mean_style"):
        lucid_parts.parts(lucid_portable.build_synthesis(network[1]))
    assert np.isfinite(network[2]).all()

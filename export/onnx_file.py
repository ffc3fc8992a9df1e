"""Exported ONNX files: the metadata they carry, and reading one that is not trusted."""

from __future__ import annotations

import hashlib
import json
import math
from typing import NamedTuple

import onnx

from dsb_fast import _json_text
from dsb_fast._errors import CheckpointError

from .onnx_kinds import kind_of, sample_shape
from .onnx_sizes import check_sizes

FORMAT_VERSION = 1
FLAVOURS = ("portable", "fused")
_MAX_NODES = 10_000
_STORED = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64)
_LONGEST_CARD = 1 << 20  # characters; those that are exported have a few thousand


class Exported(NamedTuple):
    """What an exported file says and holds, checked.

    ``inputs`` and ``outputs``: the shape of one sample by name, () for a number that all samples share. ``largest``:
    elements of the largest tensor that one sample needs. ``model``: the parsed file.
    """

    properties: dict[str, str]
    card: dict
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    largest: int
    model: onnx.ModelProto


def metadata(model: str, flavour: str, weights_sha256: str, licence: str, citation: str, card: dict) -> dict[str, str]:
    """The metadata properties of an exported file; ``card`` is what :mod:`dsb_fast._models` needs to run it again."""
    return {
        "model": model,
        "flavour": flavour,
        "format_version": str(FORMAT_VERSION),
        "weights_sha256": weights_sha256,
        "licence": licence,
        "citation": citation,
        "synthetic": "The output of this network is synthetic data; it belongs to no person.",
        "card": json.dumps(card, sort_keys=True),
    }


def _digest(model: onnx.ModelProto) -> str:
    """SHA-256 of what the model computes: all of it but the metadata properties."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def serialise(model: onnx.ModelProto, properties: dict[str, str]) -> tuple[bytes, str]:
    """The file's bytes with ``properties`` in it, and the graph's digest, which becomes a property too."""
    digest = _digest(model)
    onnx.helper.set_model_props(model, {**properties, "graph_sha256": digest})
    return model.SerializeToString(deterministic=True), digest


def _flatten(values) -> dict[str, str]:
    return {entry.key: entry.value for entry in values}


def check(data: bytes) -> Exported:
    """The bytes of an exported file, checked.

    Raises CheckpointError unless it is a graph of the kinds that dsb_fast exports (onnx_kinds.py): operators from a
    short list, all weights inside, finite, every size known and in proportion to inputs and outputs.
    """
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise classes of their own
        raise CheckpointError(f"it is no valid ONNX file ({str(error).strip().splitlines()[0][:160]})") from None
    graph, properties = model.graph, _flatten(model.metadata_props)
    _check_properties(properties)
    if len(model.functions) or len(graph.node) > _MAX_NODES or graph.sparse_initializer:
        raise CheckpointError("it has functions, sparse weights or too many nodes, which dsb_fast never exports")
    kind = kind_of(graph)
    _check_operators(model, kind.allowed(properties["flavour"]))
    _check_constants(graph)
    if properties["graph_sha256"] != _digest(model):
        raise CheckpointError("its graph is not the one that was exported (graph_sha256 does not fit)")
    largest = check_sizes(model, kind)
    shapes = [{value.name: sample_shape(value) for value in values} for values in (graph.input, graph.output)]
    return Exported(properties, _card(properties["card"]), *shapes, largest, model)


def _check_properties(properties: dict[str, str]) -> None:
    needed = ("model", "flavour", "format_version", "weights_sha256", "graph_sha256", "card")
    missing = [key for key in needed if key not in properties]
    if missing:
        raise CheckpointError(f"it was not exported by dsb_fast: no metadata property {', '.join(missing)}")
    if properties["format_version"] != str(FORMAT_VERSION):
        raise CheckpointError(
            f"its format version is {properties['format_version'][:20]!r}, not {FORMAT_VERSION}; export it again"
        )
    if properties["flavour"] not in FLAVOURS:
        raise CheckpointError(f"its flavour is {properties['flavour'][:20]!r}; there are {', '.join(FLAVOURS)}")


def _check_operators(model: onnx.ModelProto, allowed: set[tuple[str, str]]) -> None:
    kinds = {(node.domain, node.op_type) for node in model.graph.node}
    foreign = sorted(f"{domain}:{kind}"[:60] for domain, kind in kinds - allowed)
    if foreign:
        raise CheckpointError(f"it has operators that dsb_fast never exports: {', '.join(foreign[:5])}")


def _check_constants(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        name = tensor.name[:60]
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise CheckpointError(f"its weight {name!r} lies in another file, which is never read")
        if tensor.data_type not in _STORED:
            raise CheckpointError(f"its weight {name!r} is of a type that dsb_fast never exports")
        try:
            values = onnx.numpy_helper.to_array(tensor)
        except ValueError:
            raise CheckpointError(f"its weight {name!r} has more or fewer values than its shape") from None
        if values.dtype.kind == "f" and not math.isfinite(float(abs(values).max(initial=0))):
            raise CheckpointError(f"its weight {name!r} has values that are not finite")


def _card(text: str) -> dict:
    try:
        card = _json_text.parse(text) if len(text) <= _LONGEST_CARD else None
    except ValueError:
        card = None
    if not isinstance(card, dict):
        raise CheckpointError("its metadata property card is not a JSON object")
    return card

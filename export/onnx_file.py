"""Exported ONNX files: the metadata they carry, and reading one that is not trusted."""

from __future__ import annotations

import hashlib
import json
import math

import onnx

from dsb_fast._errors import CheckpointError

from .ecg_graph import DOMAIN

FORMAT_VERSION = 1
# What the portable graphs are made of. None of these can grow its input without bound, run code or read another file.
_PORTABLE = {("", kind) for kind in ("Concat", "Conv", "Gemm", "LeakyRelu", "Relu", "Reshape", "Tanh", "Transpose")}
_OPERATORS = {"portable": _PORTABLE, "fused": {(DOMAIN, "Pulse2Pulse")}}
_MAX_GROWTH = 64  # largest intermediate tensor, in sizes of the input (the widest we export is 3 times)
_MAX_NODES = 10_000


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


def check(data: bytes) -> tuple[dict[str, str], dict, list[int]]:
    """Metadata properties, card and shape of one input sample, of an exported file's bytes.

    Raises CheckpointError unless it is a graph of the kind dsb_fast exports: standard operators from a short list, all
    weights inside, finite, every intermediate size known and in proportion to the input.
    """
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
        strict = not _is_fused(model)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=strict, data_prop=True)
    except Exception as error:  # protobuf, checker and inference raise classes of their own
        raise CheckpointError(f"it is no valid ONNX file ({str(error).strip().splitlines()[0][:160]})") from None
    graph = model.graph
    properties = _flatten(model.metadata_props)
    needed = ("model", "flavour", "format_version", "weights_sha256", "graph_sha256", "card")
    missing = [key for key in needed if key not in properties]
    if missing:
        raise CheckpointError(f"it was not exported by dsb_fast: no metadata property {', '.join(missing)}")
    if properties["format_version"] != str(FORMAT_VERSION):
        raise CheckpointError(
            f"its format version is {properties['format_version'][:20]!r}, not {FORMAT_VERSION}; export it again"
        )
    if len(model.functions) or len(graph.node) > _MAX_NODES or graph.sparse_initializer:
        raise CheckpointError("it has functions, sparse weights or too many nodes, which dsb_fast never exports")
    allowed = _OPERATORS.get(properties["flavour"])
    if allowed is None:
        raise CheckpointError(f"its flavour is {properties['flavour'][:20]!r}; there are {', '.join(_OPERATORS)}")
    kinds = {(node.domain, node.op_type) for node in graph.node}
    foreign = sorted(f"{domain}:{kind}"[:60] for domain, kind in kinds - allowed)
    if foreign:
        raise CheckpointError(f"it has operators that dsb_fast never exports: {', '.join(foreign[:5])}")
    for tensor in graph.initializer:
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise CheckpointError(f"its weight {tensor.name[:60]!r} lies in another file, which is never read")
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not math.isfinite(float(abs(values).max(initial=0))):
            raise CheckpointError(f"its weight {tensor.name[:60]!r} has values that are not finite")
    if properties["graph_sha256"] != _digest(model):
        raise CheckpointError("its graph is not the one that was exported (graph_sha256 does not fit)")
    _check_sizes(inferred)
    try:
        card = json.loads(properties["card"])
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict):
        raise CheckpointError("its metadata property card is not a JSON object")
    return properties, card, [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[1:]]


def _is_fused(model: onnx.ModelProto) -> bool:
    """Strict inference knows no operators of ours; their only output is the graph's, whose size stands there."""
    return any(node.domain == DOMAIN for node in model.graph.node)


def _size(value: onnx.ValueInfoProto) -> int | None:
    """Elements a sample; None where a dimension behind the first is not known."""
    dims = value.type.tensor_type.shape.dim
    if not dims or not all(d.HasField("dim_value") and d.dim_value > 0 for d in dims[1:]):
        return None
    return math.prod(d.dim_value for d in dims[1:])


def _check_sizes(model: onnx.ModelProto) -> None:
    graph = model.graph
    sizes = {value.name: _size(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    if len(graph.input) != 1 or len(graph.output) != 1 or not sizes[graph.input[0].name]:
        raise CheckpointError("it needs exactly one input and one output of known size")
    limit = _MAX_GROWTH * sizes[graph.input[0].name]
    for node in graph.node:
        for name in node.output:
            if not sizes.get(name) or sizes[name] > limit:
                raise CheckpointError(f"its tensor {name[:60]!r} has a size that is unknown or out of proportion")

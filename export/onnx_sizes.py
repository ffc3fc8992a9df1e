"""The size of every tensor of a graph that is not trusted, before anything of it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx
from onnx import AttributeProto, helper, numpy_helper

from dsb_fast._errors import CheckpointError

from .ecg_graph import DOMAIN
from .lucid_builder import FEATURES, HEADS
from .onnx_kinds import MAX_ELEMENTS, SMALL, Kind

Shape = tuple[int, ...]
_BATCH = 64  # beside a batch of one: what grows faster than the batch shows here
_INSIDE = " inside"  # behind an output's name: what its operator makes on the way and has in memory for a whole batch
_SMALL = 64  # constants of fewer elements may be sizes and are kept for inference
_MAX_TAPS, _MAX_ATTRIBUTE, _MAX_LIST = 64, 1 << 16, 16
_SCALARS = {AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.STRING}
_LISTS = {AttributeProto.INTS, AttributeProto.FLOATS}


def check_sizes(model: onnx.ModelProto, kind: Kind) -> int:
    """Elements of the largest tensor that one sample needs.

    Raises CheckpointError unless every size is known, in proportion to inputs and outputs, and no more than in
    proportion to the batch.
    """
    for node in model.graph.node:
        _check_attributes(node)
    _check_weights(model.graph)
    alone, together = (_checked(model, kind, batch) for batch in (1, _BATCH))
    for name, size in together.items():
        if size > alone[name] * _BATCH:
            raise _out_of_proportion(name)
    return max(alone.values())


def _checked(model: onnx.ModelProto, kind: Kind, batch: int) -> dict[str, int]:
    """Elements of every tensor for that batch."""
    shapes, ends = _shapes(model, batch), [value.name for value in (*model.graph.input, *model.graph.output)]
    made = [name for node in model.graph.node for name in node.output]
    made += [f"{name}{_INSIDE}" for name in made if f"{name}{_INSIDE}" in shapes]
    sizes = {name: _elements(shapes.get(name)) for name in made}
    sizes |= {name: _elements(shapes.get(name)) for name in ends}
    base, total = max(sizes[name] for name in ends), 0
    limit = min(max(kind.growth * base, SMALL * batch), MAX_ELEMENTS * batch)
    total_limit = max(kind.total_growth * base, 16 * SMALL * batch)
    for name, size in sizes.items():
        total += size
        if not 0 < size <= limit or total > total_limit:
            raise _out_of_proportion(name)
    for value in model.graph.output:
        if shapes[value.name] != _given(value, batch):
            raise CheckpointError(f"its output {value.name[:60]!r} has another size than its graph makes")
    return sizes


def _out_of_proportion(name: str) -> CheckpointError:
    return CheckpointError(f"its tensor {name[:60]!r} has a size that is unknown or out of proportion")


def _elements(shape: Shape | None) -> int:
    """0 where a size is unknown or none."""
    if shape is None or not all(isinstance(size, int) and size > 0 for size in shape):
        return 0
    return math.prod(shape)


def _check_attributes(node: onnx.NodeProto) -> None:
    """No subgraphs or tensors, no numbers beyond what any layer of ours has."""
    for attribute in node.attribute:
        if attribute.type not in _SCALARS | _LISTS or attribute.ref_attr_name:
            raise _strange(node, attribute.name)
        value = helper.get_attribute_value(attribute)
        values = list(value) if attribute.type in _LISTS else [value]
        if len(values) > _MAX_LIST:
            raise _strange(node, attribute.name)
        for value in values:
            finite = isinstance(value, bytes) or math.isfinite(value)
            if not finite or (isinstance(value, int) and abs(value) > _MAX_ATTRIBUTE):
                raise _strange(node, attribute.name)
        if node.domain == DOMAIN and attribute.name not in _ATTRIBUTES[node.op_type]:
            raise _strange(node, attribute.name)
        if attribute.name == "up" and not {1, 2} >= set(values):
            raise _strange(node, attribute.name)


def _strange(node: onnx.NodeProto, name: str) -> CheckpointError:
    return CheckpointError(f"its {node.op_type[:40]} node {node.name[:60]!r} has a strange attribute {name[:40]!r}")


_WEIGHTS = {  # operator: which inputs
    **{name: [1] for name in ("Conv", "ConvTranspose", "ModulatedConv2d", "DepthwiseConv2d", "Conv1x1")},
    "Attention": [2, 3, 4, 5],
    "FeedForward": [1, 2],
    "StyleBlock": [1, 2],
}


def _check_weights(graph: onnx.GraphProto) -> None:
    """Convolutions have stored weights, of few taps: what they are unfolded to stays in proportion as well."""
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        for place in _WEIGHTS.get(node.op_type, ()):
            weight = constants.get(node.input[place]) if len(node.input) > place else None
            if weight is None or math.prod(weight[2:]) > _MAX_TAPS:
                raise CheckpointError(f"its {node.op_type} node {node.name[:60]!r} has no stored weight of few taps")


def _shapes(model: onnx.ModelProto, batch: int) -> dict[str, Shape]:
    fused = any(node.domain == DOMAIN for node in model.graph.node)
    return _fused_shapes(model.graph, batch) if fused else _inferred_shapes(model, batch)


def _given(value: onnx.ValueInfoProto, batch: int) -> Shape:
    """A tensor of rank 0 has no batch."""
    dims = value.type.tensor_type.shape.dim
    return (batch, *(d.dim_value for d in dims[1:])) if dims else ()


def _inferred_shapes(model: onnx.ModelProto, batch: int) -> dict[str, Shape]:
    """By onnx's own inference, on the graph with that batch and without its large weights."""
    inputs = [
        helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, _given(value, batch))
        for value in model.graph.input
    ]
    kept = []
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) < _SMALL:
            kept.append(tensor)
        else:
            inputs.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    outputs = [onnx.ValueInfoProto(name=value.name) for value in model.graph.output]
    for made, value in zip(outputs, model.graph.output, strict=True):
        made.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    graph = helper.make_graph(list(model.graph.node), "sizes", inputs, outputs, kept)
    bare = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx raises classes of its own
        text = str(error).strip().splitlines()[0][:160]
        raise CheckpointError(f"its tensors have sizes that do not fit each other ({text})") from None
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
    }


def _fused_shapes(graph: onnx.GraphProto, batch: int) -> dict[str, Shape]:
    """By the rules below, node by node."""
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes |= {value.name: _given(value, batch) for value in graph.input}
    numbers = {t.name: numpy_helper.to_array(t).tolist() for t in graph.initializer if math.prod(t.dims) < _SMALL}
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.domain != DOMAIN:
            attributes["constant"] = numbers.get(node.input[-1])
        try:
            (output,) = node.output
            given = [shapes[name] if name else () for name in node.input]
            shapes[output] = _RULES[node.op_type](given, attributes)
            if node.op_type == "StyleBlock":
                shapes[output + _INSIDE] = _style_image(given, attributes)
        except (IndexError, KeyError, TypeError, ValueError):
            raise CheckpointError(
                f"its {node.op_type} node {node.name[:60]!r} has inputs or attributes that do not fit"
            ) from None
    return shapes


def _first(shapes: list[Shape], _) -> Shape:
    return shapes[0]


def _dense(shapes: list[Shape], attributes: dict) -> Shape:
    out, length = shapes[1]
    made = tuple(attributes.get("shape", [out]))
    if math.prod(made) != out or shapes[0][-1] != length or len(shapes[0]) not in (2, 3):
        raise ValueError
    return (shapes[0][0], *made)


def _upsampled(shapes: list[Shape], _) -> Shape:
    n, c, h, w = shapes[0]
    return n, c, 2 * h, 2 * w


def _plane(shapes: list[Shape], attributes: dict) -> Shape:
    n, _, _ = shapes[0]
    return n, 1, attributes["size"], attributes["size"]


def _modulated(shapes: list[Shape], attributes: dict) -> Shape:
    (n, i, h, w), (out, weight_in, rows, columns), (samples, factors) = shapes[:3]
    left, right, top, bottom = attributes.get("padding", [0] * 4)
    if weight_in != i or factors != i or (n != samples and 1 not in (n, samples)):
        raise ValueError
    up = 2 if attributes.get("upsample") == b"bilinear" else attributes.get("up", 1)  # filters are made up for
    return max(n, samples), out, up * h + top + bottom - rows + 1, up * w + left + right - columns + 1


def _style_image(shapes: list[Shape], attributes: dict) -> Shape:
    """Of a block, what the first layer makes."""
    upsample = attributes.get("upsample", b"none")
    return _modulated([shapes[0], shapes[1], shapes[3]], {"padding": [1] * 4, "upsample": upsample})


def _style_block(shapes: list[Shape], attributes: dict) -> Shape:
    """The second layer's result, or as many channels as there are colours, where these have a weight."""
    n, c, h, w = _modulated([_style_image(shapes, attributes), shapes[2], shapes[4]], {"padding": [1] * 4})
    if len(shapes) < 11 or not shapes[10]:
        return n, c, h, w
    colours, terms = shapes[10][:2]
    if terms != c or max(shapes[10][2:]) > 1:
        raise ValueError
    return n, colours, h, w


def _up_fir_down(shapes: list[Shape], attributes: dict) -> Shape:
    (n, c, h, w), taps = shapes
    (right, down), (left, top, before, after) = attributes["up"], attributes["padding"]
    if attributes["down"] != [1, 1] or not 1 <= len(taps) <= 2 or max(taps) > _MAX_TAPS:
        raise ValueError
    return n, c, down * h + before + after - taps[0] + 1, right * w + left + top - taps[-1] + 1


def _joined(shapes: list[Shape], attributes: dict) -> Shape:
    """Labels behind latents."""
    (n, first), (others, second) = shapes
    if attributes["axis"] != 1 or others != n:
        raise ValueError
    return n, first + second


def _row(shapes: list[Shape], attributes: dict) -> Shape:
    """Styles as one row each."""
    n, size = shapes[0]
    if attributes["constant"] != [1]:
        raise ValueError
    return n, 1, size


def _repeated(shapes: list[Shape], attributes: dict) -> Shape:
    """One row as many."""
    (n, one, size), (before, rows, after) = shapes[0], attributes["constant"]
    if (before, one, after) != (1, 1, 1) or type(rows) is not int:
        raise ValueError
    return n, rows, size


def _number(shapes: list[Shape], _) -> Shape:
    if any(shapes):
        raise ValueError
    return ()


def _conv1x1(shapes: list[Shape], _) -> Shape:
    n, _, h, w = shapes[0]
    return n, shapes[1][0], h, w


def _depthwise(shapes: list[Shape], attributes: dict) -> Shape:
    (n, c, h, w), (*_, rows, columns) = shapes[:2]
    grown = 2 * attributes.get("padding", 0) + 1
    return n, c, h + grown - rows, w + grown - columns


def _attention(shapes: list[Shape], attributes: dict) -> Shape:
    """Only as stylegan2-pytorch has it: what a head sums up is a matrix of features by features."""
    if attributes["heads"] != HEADS or any(shape[1] != HEADS * FEATURES for shape in shapes):
        raise ValueError
    return shapes[2]


def _attention_block(shapes: list[Shape], attributes: dict) -> Shape:
    """Only as stylegan2-pytorch has it, as above."""
    (n, c, h, w), width = shapes[0], HEADS * FEATURES
    to_q, to_k, to_v, to_out = (shape[:2] for shape in shapes[2:6])
    if attributes["heads"] != HEADS or not to_q == to_k == to_v == (width, c) or to_out[1] != width:
        raise ValueError
    return n, to_out[0], h, w


def _feed_forward(shapes: list[Shape], _) -> Shape:
    (n, c, h, w), (hidden, inputs), (out, terms) = shapes[0], shapes[1][:2], shapes[2][:2]
    if (inputs, terms) != (c, hidden):
        raise ValueError
    return n, out, h, w


_ACTIVATION = {"act", "alpha", "gain", "clamp"}
_OPERATORS: dict[str, tuple[Callable[[list[Shape], dict], Shape], set[str]]] = {
    "Attention": (_attention_block, {"heads", "q_scale", "k_scale", "out_scale", "act", "gain"}),
    "BiasAct": (_first, _ACTIVATION),
    "Blur2d": (_first, set()),
    "ChannelNorm": (_first, {"eps", "eps_to"}),
    "Conv1x1": (_conv1x1, _ACTIVATION),
    "Dense": (_dense, _ACTIVATION | {"weight_gain", "bias_gain", "row", "shape"}),
    "DepthwiseConv2d": (_depthwise, {"padding"}),
    "FeedForward": (_feed_forward, {"slope", "gain"}),
    "InstanceNorm": (_first, {"eps"}),
    "LinearAttention": (_attention, {"heads", "q_scale", "k_scale", "out_scale"}),
    "ModulatedConv2d": (
        _modulated, _ACTIVATION | {"padding", "demodulate", "style_offset", "up", "flip_weight", "upsample"}
    ),
    "NoisePlane": (_plane, {"size"}),
    "NormalizeLatent": (_first, {"kind"}),
    "Pulse2Pulse": (_first, {"strides", "repetitions", "padding", "slope"}),
    "StyleBlock": (_style_block, _ACTIVATION | {"style_offset", "upsample"}),
    "Truncate": (_first, set()),
    "UpFirDn2d": (_up_fir_down, {"up", "down", "padding", "gain"}),
    "UpsampleBilinear2d": (_upsampled, set()),
}  # fmt: skip
_STANDARD = {"Concat": _joined, "Expand": _repeated, "Min": _number, "Unsqueeze": _row}  # beside them
_RULES = {name: rule for name, (rule, _) in _OPERATORS.items()} | _STANDARD
_ATTRIBUTES = {name: attributes for name, (_, attributes) in _OPERATORS.items()}

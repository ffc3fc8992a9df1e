"""The kinds of graph that dsb_fast exports: their inputs and outputs, what they are made of, how large they may get."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx

from dsb_fast._errors import CheckpointError

from .ecg_graph import DOMAIN

MAX_ELEMENTS = 1 << 28  # of one tensor of one sample: twice the attention weights of a 1024 x 1024 network
SMALL = 1 << 20  # what any graph may need, however small its inputs and outputs are


@dataclass(frozen=True)
class Kind:
    """One kind of graph.

    ``inputs`` and ``outputs`` have the number of dimensions of one sample by name, None for a single number that all
    samples share, ``optional`` the inputs that not all such graphs have; ``operators`` the operators that a flavour is
    made of; ``growth`` the largest tensor and ``total_growth`` all tensors together, in sizes of the largest input or
    output.
    """

    inputs: dict[str, int | None]
    outputs: dict[str, int]
    operators: dict[str, frozenset[str]]
    growth: int
    total_growth: int
    output_type: int = onnx.TensorProto.FLOAT
    optional: dict[str, int] = field(default_factory=dict)

    def allowed(self, flavour: str) -> set[tuple[str, str]]:
        """Domain and name of every operator."""
        names = self.operators.get(flavour, ())
        if flavour != "fused":
            return {("", name) for name in names}
        return {("" if name in _BESIDE else DOMAIN, name) for name in names}


def _lucid(inputs: dict, outputs: dict, **more) -> Kind:
    return Kind(inputs, outputs, {"portable": _IMAGES, "fused": _FUSED_IMAGES}, 1024, 8192, **more)


def _stylegan2(inputs: dict, outputs: dict, optional: dict) -> Kind:
    operators = {"portable": _STYLEGAN2, "fused": _FUSED_STYLEGAN2}
    return Kind(inputs, outputs, operators, 1024, 8192, optional=optional)


# None of these can grow its input without bound, run code or read another file.
_SIGNALS = frozenset(["Concat", "Conv", "Gemm", "LeakyRelu", "Relu", "Reshape", "Tanh", "Transpose"])
_IMAGES = frozenset([
    "Add", "Cast", "Clip", "Conv", "Div", "Erf", "Gather", "Gemm", "LeakyRelu", "MatMul", "Max", "Mul", "Pad",
    "Reciprocal", "ReduceL2", "Reshape", "Resize", "Slice", "Softmax", "Sqrt", "Sub", "Transpose",
    "Unsqueeze",
])  # fmt: skip
_STYLEGAN2 = frozenset([
    "Abs", "Add", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Expand", "Gather", "Gemm", "LeakyRelu",
    "LogSoftmax", "Max", "Min", "Mul", "Neg", "Reciprocal", "ReduceMax", "ReduceSumSquare", "Relu", "Reshape",
    "Sigmoid", "Sqrt", "Sub", "Tanh", "Unsqueeze",
])  # fmt: skip
_BESIDE = frozenset(["Concat", "Expand", "Min", "Unsqueeze"])  # standard ones in fused graphs
_FUSED_STYLEGAN2 = _BESIDE | {"Conv1x1", "Dense", "ModulatedConv2d", "NormalizeLatent", "Truncate", "UpFirDn2d"}
_LABEL = {"label": 1}
_PLANES = {f"noise_{k}": 3 for k in range(27)}  # of 65536 pixels each way, more than any network has
_FUSED_IMAGES = frozenset([
    "Attention", "BiasAct", "Blur2d", "ChannelNorm", "Conv1x1", "Dense", "DepthwiseConv2d", "FeedForward",
    "InstanceNorm", "LinearAttention", "ModulatedConv2d", "NoisePlane", "NormalizeLatent", "StyleBlock", "Truncate",
    "UpsampleBilinear2d",
])  # fmt: skip
KINDS = {
    "pulse2pulse": Kind(
        {"noise": 2}, {"signal": 2}, {"portable": _SIGNALS, "fused": frozenset({"Pulse2Pulse"})}, 64, 1024
    ),
    "lucid": _lucid({"z": 1, "noise": 2, "truncation_psi": None}, {"image": 3}),
    "lucid_mapping": _lucid({"z": 1}, {"w": 1}),
    "lucid_synthesis": _lucid({"w": 2, "noise": 2}, {"image": 3}),
    "stylegan2": _stylegan2({"z": 1, "truncation_psi": None}, {"image": 3}, _LABEL | _PLANES),
    "stylegan2_mapping": _stylegan2({"z": 1}, {"w": 2}, _LABEL),
    "stylegan2_synthesis": _stylegan2({"w": 2}, {"image": 3}, _PLANES),
    "lucid_fidelity": _lucid({"z": 1}, {"image": 3}, output_type=onnx.TensorProto.UINT8),
}


def kind_of(graph: onnx.GraphProto) -> Kind:
    """What kind the graph says it is. Raises CheckpointError unless its inputs and outputs are those of the kind."""
    kind = KINDS.get(graph.name)
    if kind is None:
        raise CheckpointError(f"its graph is called {graph.name[:40]!r}; dsb_fast exports {', '.join(KINDS)}")
    for what, values, needed, element in (
        ("input", graph.input, kind.inputs, onnx.TensorProto.FLOAT),
        ("output", graph.output, kind.outputs, kind.output_type),
    ):
        names = [value.name for value in values]
        optional = kind.optional if what == "input" else {}
        expected = {**needed, **{name: rank for name, rank in optional.items() if name in names}}
        if sorted(names) != sorted(expected):
            found = ", ".join(name[:20] for name in names[:5]) or "none"
            raise CheckpointError(f"its {what}s are {found}; a {graph.name} graph has {', '.join(expected)}")
        for value in values:
            _check_value(value, expected[value.name], element)
    _check_images(graph)
    return kind


def sample_shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Dimensions of one sample."""
    return tuple(d.dim_value for d in value.type.tensor_type.shape.dim[1:])


def _check_value(value: onnx.ValueInfoProto, rank: int | None, element: int) -> None:
    tensor = value.type.tensor_type
    dims = tensor.shape.dim
    if tensor.elem_type != element or len(dims) != (0 if rank is None else 1 + rank):
        raise CheckpointError(f"its {value.name} has another type or number of dimensions than dsb_fast gives it")
    if dims and dims[0].HasField("dim_value"):
        raise CheckpointError(f"its {value.name} has a batch that is fixed")
    if not all(d.dim_value > 0 for d in dims[1:]):
        raise CheckpointError(f"its {value.name} has a size that is unknown or out of proportion")


def _check_images(graph: onnx.GraphProto) -> None:
    """A noise map is as large as the image, and a whole network has the mean of its styles."""
    shapes = {value.name: sample_shape(value) for value in (*graph.input, *graph.output)}
    if {"noise", "image"} <= set(shapes) and shapes["noise"] != shapes["image"][1:]:
        raise CheckpointError("its noise is not as large as its image")
    means = [tuple(tensor.dims) for tensor in graph.initializer if tensor.name == "mean_style"]
    if graph.name == "lucid" and means != [shapes["z"]]:
        raise CheckpointError(f"it has no constant mean_style of {shapes['z'][0]} values")

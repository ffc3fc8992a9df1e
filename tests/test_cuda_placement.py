"""Every node of a graph of flavour "cuda" is one that ONNX Runtime's CUDA provider takes: none goes to the CPU quietly.

A node on the CPU means copies in the middle of a network, and no CUDA graph. The kernels are those of the table
"Operators implemented by CUDAExecutionProvider" in ONNX Runtime's docs/OperatorKernels.md of version 1.16, for
operator set 17; onnxruntime-gpu 1.31.1's provider still names them, has NhwcConv in float and float16, and leaves an
NhwcConv to the CPU if its weights are not constant.
"""

from __future__ import annotations

from functools import cache

import onnx
import pytest
from dsb_fast.export import cuda_draws, cuda_ecg, cuda_lucid, lucid, pulse2pulse, stylegan2_graphs
from onnx import TensorProto
from references import images
from references import stylegan2_runs as runs

from dsb_fast._models.checkpoint_file import read_tree
from dsb_fast._models.ecg_source import published_checkpoint
from dsb_fast._models.on_device import Draw

pytestmark = pytest.mark.variant_independent
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}

# Of operators that take float and float16: the inputs that they read in the host's memory, from the first named on.
_DATA = (
    "Abs Add Cast Clip Concat Conv Div Erf Gemm LeakyRelu MatMul Max Min Mul Reciprocal ReduceL2 ReduceMax "
    "ReduceSumSquare Softmax Sqrt Sub Transpose"
)
_STANDARD = dict.fromkeys(_DATA.split()) | dict.fromkeys(("Expand", "Pad", "Reshape", "Slice", "Unsqueeze"), 1)
_STANDARD["Gather"] = None  # whose indices are on the device
KERNELS = {("", name): host for name, host in _STANDARD.items()} | {("com.microsoft", "NhwcConv"): None}
OURS = dict.fromkeys(("Epilogue", "ScaleChannels", "ToMicrovolt", "ToUint8", "UpsampleBilinear2d"))
OURS |= {"Upfirdn2d": 1, "PhiloxUniform": 0, "PhiloxNormal": 0}
KERNELS |= {("dsb_fast", name): host for name, host in OURS.items()}


def _refused(model: onnx.ModelProto) -> list[str]:
    """What keeps nodes from the device, or a captured graph from being right when it is played again."""
    graph = model.graph
    types = {t.name: t.data_type for t in graph.initializer}
    constants, inputs = set(types), {value.name for value in graph.input}
    types |= {value.name: value.type.tensor_type.elem_type for value in graph.input}
    wrong = [f"input {name} is a constant too" for name in constants & inputs]
    for node in graph.node:
        what, name = f"{node.domain}.{node.op_type} {node.output[0]}", (node.domain, node.op_type)
        if name not in KERNELS:
            wrong.append(f"{what}: the provider has no such operator")
            continue
        given, host = list(node.input), KERNELS[name]
        on_host = given[host:] if host is not None else []
        if not node.op_type.startswith("Philox"):  # these are in graphs that are not captured
            wrong += [f"{what}: {one} changes on the host" for one in on_host if one and one not in constants]
        if node.op_type == "NhwcConv" and given[1] not in constants:
            wrong.append(f"{what}: its weights are not constant")
        for one in given[: len(given) - len(on_host)]:
            index = node.op_type == "Gather" and one == given[1]
            if one and types[one] not in ({TensorProto.INT64} if index else FLOATS):
                wrong.append(f"{what}: {one} is {TensorProto.DataType.Name(types[one])}")
        kind = next((a.i for a in node.attribute if node.op_type == "Cast" and a.name == "to"), None)
        made = {"ToMicrovolt": TensorProto.INT16, "ToUint8": TensorProto.UINT8}.get(node.op_type, kind)
        made = TensorProto.FLOAT if node.op_type.startswith("Philox") else made
        types |= dict.fromkeys(node.output, types[node.input[0]] if made is None else made)
    return wrong


@cache
def _ecg():
    return pulse2pulse.from_tree(read_tree(published_checkpoint())[0])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("length", [5000, 7500])
def test_ecgs(length, precision):
    assert _refused(cuda_ecg.build(_ecg(), length, precision, 6000.0)) == []
    assert _refused(cuda_ecg.build(_ecg(), length, precision)) == []


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", images.NAMES)
def test_stylegan2_pytorchs(data, name, precision):
    checkpoint, golden = lucid.load(images.folder(data, name))[0], images.golden(data, name)
    tensors, told = checkpoint.networks["ema"], {"attention": checkpoint.attention, "precision": precision}
    whole = (tensors.mapping, tensors.generator, golden["av_S"], checkpoint.lr_mlp)
    assert _refused(cuda_lucid.build(*whole, **told, levels=True)) == []
    assert _refused(cuda_lucid.build_synthesis(tensors.generator, **told)) == []
    assert _refused(cuda_lucid.build_mapping(tensors.mapping, checkpoint.lr_mlp)) == []


@pytest.mark.parametrize("name", [*runs.NVLABS, *runs.ROSINALITY])
def test_nvidias_and_rosinalitys(data, name):
    golden, network = runs.golden(data, name), runs.network(data, name)
    mean = golden["w_avg"] if name in runs.NVLABS else golden["latent_avg"]
    for precision in ("fp32", "fp16"):
        told = {"flavour": "cuda", "precision": precision}
        for noise in stylegan2_graphs.NOISES:
            whole = stylegan2_graphs.build(network, "whole", noise, mean_style=mean, levels=True, **told)
            assert _refused(whole) == []
        assert _refused(stylegan2_graphs.build(network, "synthesis", **told)) == []
        assert _refused(stylegan2_graphs.build(network, "mapping", **told)) == []


def test_draws():
    draws = [Draw("normal", 0, {"z": (512,)}), Draw("uniform", 1, {"a": (1, 8, 8), "b": (1, 4, 4)}, 0.0, 1.0)]
    assert _refused(cuda_draws.build(draws)) == []


def test_what_goes_to_the_cpu_is_found():
    model = cuda_ecg.build(_ecg(), 5000, "fp32", 6000.0)
    convolution = next(node for node in model.graph.node if node.op_type == "NhwcConv")
    model.graph.node.add(op_type="Sin", input=["noise"], output=["sine"])
    del model.graph.initializer[[t.name for t in model.graph.initializer].index(convolution.input[1])]
    model.graph.input.add(name=convolution.input[1]).type.tensor_type.elem_type = TensorProto.FLOAT
    constant, operator = _refused(model)
    assert constant.endswith("its weights are not constant") and operator.startswith(".Sin sine")

"""Graphs of flavour "cuda", end to end on the host: against the portable graphs' references."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from dsb_fast.export import (
    cuda_draws,
    cuda_ecg,
    cuda_lucid,
    ecg_graph,
    lucid,
    lucid_portable,
    pulse2pulse,
    stylegan2_graphs,
)
from onnx import TensorProto
from references import cuda_graphs, cuda_host, gitract_checkpoint, images
from references import stylegan2_runs as runs
from references.arrays import close, identical
from tolerances import ECG_SIGNAL, LUCID_IMAGE, OPS, STYLEGAN2_HALF, STYLEGAN2_IMAGE

from dsb_fast import _kernels, random
from dsb_fast._models.card import NEAR
from dsb_fast._models.ecg_source import published_checkpoint
from dsb_fast._models.on_device import NOT_NUMBERS, Draw

pytestmark = pytest.mark.variant_independent


def _few_apart(made, expected, share: float) -> None:
    apart = np.abs(np.subtract(made, expected, dtype=np.int32))
    assert (apart == 0).mean() >= share and apart.max() <= 1


@cache
def _ecg():
    from dsb_fast._models.checkpoint_file import read_tree

    return pulse2pulse.from_tree(read_tree(published_checkpoint())[0])


@cache
def _golden_ecg(data) -> dict[str, np.ndarray]:
    with np.load(data / "ecg/ecg.npz") as arrays:
        return dict(arrays)


def test_ecgs_are_the_packages(data):
    golden = _golden_ecg(data)
    noise = golden["noise"]
    signal = cuda_graphs.run(cuda_ecg.build(_ecg(), 5000), noise=noise)["signal"]
    assert signal.shape == noise.shape and np.abs(signal - golden["out"]).max() < ECG_SIGNAL
    outputs = cuda_graphs.run(
        cuda_ecg.build(_ecg(), 5000, microvolt_scale=6000.0), noise=np.ascontiguousarray(noise.transpose(0, 2, 1))
    )
    _few_apart(outputs["signal_uv"], golden["out_int"], 0.995)
    assert outputs["signal_uv"].dtype == np.int16 and outputs[NOT_NUMBERS] == [0]
    identical(outputs["signal_uv"], np.trunc(signal * np.float32(6000)).astype(np.int16))


def test_longer_ecgs_have_no_matrices_and_are_those_of_the_portable_graph():
    noise = random.uniform(3, 0, 1, (8, 7500), 0, -1.0, 1.0)
    [expected] = runs.session(ecg_graph.build(_ecg(), 7500)).run(None, {"noise": noise})
    model = cuda_ecg.build(_ecg(), 7500)
    assert not any(node.op_type in ("MatMul", "Gemm") for node in model.graph.node)
    assert np.abs(cuda_graphs.run(model, noise=noise)["signal"] - expected).max() < ECG_SIGNAL


def test_ecgs_in_float16_pass_the_acceptance_test():
    noise = random.uniform(0, 0, 8, (8, 5000), 0, -1.0, 1.0)
    [single] = runs.session(ecg_graph.build(_ecg(), 5000)).run(None, {"noise": noise})
    model = cuda_ecg.build(_ecg(), 5000, "fp16", 6000.0)
    made = cuda_graphs.run(model, noise=np.ascontiguousarray(noise.transpose(0, 2, 1)))["signal_uv"]
    assert NEAR["fp16"].refusal(made, np.trunc(single * np.float32(6000)).astype(np.int16)) is None
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert types["deconv_2.phases.weight"] == TensorProto.FLOAT16 and types["conv_2.weight"] == TensorProto.FLOAT


@pytest.mark.parametrize("network", ["plain", "ema"])
@pytest.mark.parametrize("name", images.NAMES)
def test_styles_and_images_are_stylegan2_pytorchs(data, name, network):
    golden, part = images.golden(data, name), {"plain": "S", "ema": "SE"}[network]
    checkpoint = lucid.load(images.folder(data, name))[0]
    tensors, told = checkpoint.networks[network], {"attention": checkpoint.attention}
    whole = (tensors.mapping, tensors.generator, golden["av_S"], checkpoint.lr_mlp)
    noise, psi = {"noise": golden["noise"]}, {"truncation_psi": golden["trunc_psi"].astype(np.float32)}
    mapping = cuda_lucid.build_mapping(tensors.mapping, checkpoint.lr_mlp)
    close(cuda_graphs.run(mapping, z=golden["z"])["w"], golden[f"w_{part}"], OPS)
    synthesis = cuda_lucid.build_synthesis(tensors.generator, **told)
    raw = golden[f"img_{part}_raw"]
    close(cuda_graphs.run(synthesis, w=golden[f"styles_{part}"], **noise)["image"], raw, LUCID_IMAGE)
    image = cuda_graphs.run(cuda_lucid.build(*whole, **told), z=golden["z"], **noise, **psi)["image"]
    close(image, raw, LUCID_IMAGE)
    outputs = cuda_graphs.run(cuda_lucid.build(*whole, **told, levels=True), z=golden["z"], **noise, **psi)
    identical(outputs["levels"], _kernels.grey_levels(image, 255.0, 0.5))
    assert outputs[NOT_NUMBERS] == [0]
    model = cuda_lucid.build(*whole, **told, precision="fp16")
    close(cuda_graphs.run(model, z=golden["z"], **noise, **psi)["image"], raw, STYLEGAN2_HALF)
    queries = [tensor.data_type for tensor in model.graph.initializer if tensor.name.endswith("to_q.matrix")]
    assert set(queries) <= {TensorProto.FLOAT if name.startswith("v190") else TensorProto.FLOAT16}


@pytest.mark.parametrize("options", [{"attn_layers": (3, 1)}, {"attn_layers": (3,), "no_const": True}])
def test_attention_before_the_first_block(options):
    small = {"image_size": 16, "capacity": 3, "latent_dim": 12, "style_depth": 2, **options}
    weights = {k[2:]: v.numpy() for k, v in gitract_checkpoint.state_dict(**small).items() if k.startswith("G.")}
    fed = {"w": random.normal(0, 0, 2, (3, 12)), "noise": random.uniform(0, 0, 2, (16, 16), stream=1)}
    [expected] = runs.session(lucid_portable.build_synthesis(weights)).run(None, fed)
    close(cuda_graphs.run(cuda_lucid.build_synthesis(weights), **fed)["image"], expected, LUCID_IMAGE)
    close(
        cuda_graphs.run(cuda_lucid.build_synthesis(weights, precision="fp16"), **fed)["image"], expected, STYLEGAN2_HALF
    )


def test_attention_that_could_exceed_float16_stays_single(data):
    checkpoint = lucid.load(images.folder(data, "attn64"))[0]
    generator = dict(checkpoint.networks["ema"].generator)
    name = next(name for name in generator if name.endswith("fn.to_k.weight"))
    generator[name] = generator[name] * 1000
    types = {t.name: t.data_type for t in cuda_lucid.build_synthesis(generator, precision="fp16").graph.initializer}
    part = name.removesuffix("to_k.weight")
    assert types[f"{part}to_q.matrix"] == TensorProto.FLOAT


@pytest.mark.parametrize("name", [*runs.NVLABS, *runs.ROSINALITY])
def test_images_are_nvidias_and_rosinalitys(data, name):
    golden, network = runs.golden(data, name), runs.network(data, name)
    w = golden["ws"] if name in runs.NVLABS else golden["wplus"]
    for noise in stylegan2_graphs.NOISES:
        portable = stylegan2_graphs.build(network, "synthesis", noise)
        fed = {name: values for name, values in runs.drawn(portable, len(w)).items() if name != "w"}
        [expected] = runs.session(portable).run(None, {"w": w, **fed})
        image = cuda_graphs.run(stylegan2_graphs.build(network, "synthesis", noise, "cuda"), w=w, **fed)["image"]
        close(image, expected, STYLEGAN2_IMAGE)
        half = stylegan2_graphs.build(network, "synthesis", noise, "cuda", precision="fp16")
        close(cuda_graphs.run(half, w=w, **fed)["image"], expected, STYLEGAN2_HALF)


@pytest.mark.parametrize("name", ["ada64_cond_resnet", "size32"])
def test_a_whole_network_ends_in_grey_levels(data, name):
    golden = runs.golden(data, name)
    mean = golden["w_avg"] if name in runs.NVLABS else golden["latent_avg"]
    network = runs.network(data, name)
    label = {"label": golden["c"]} if network.c_dim else {}
    fed = {"z": golden["z"], "truncation_psi": np.array(0.7, np.float32), **label}
    [image] = runs.session(stylegan2_graphs.build(network, "whole", "none", mean_style=mean)).run(None, fed)
    whole = stylegan2_graphs.build(network, "whole", "none", "cuda", mean, levels=True)
    outputs = cuda_graphs.run(whole, **fed)
    _few_apart(outputs["levels"], _kernels.grey_levels(image, 127.5, 128.0), 0.995)


def test_values_that_are_no_numbers_are_counted():
    noise = np.zeros((2, 8, 5000), np.float32)
    noise[1, 3, 7] = np.nan
    outputs = cuda_graphs.run(
        cuda_ecg.build(_ecg(), 5000, microvolt_scale=6000.0), noise=np.ascontiguousarray(noise.transpose(0, 2, 1))
    )
    assert outputs[NOT_NUMBERS] > 0


def test_draws_have_the_bits_of_the_identity():
    planes = {f"noise_{k}": (1, 4 << k, 4 << k) for k in range(3)}
    draws = [
        Draw("uniform", 0, {"noise": (8, 50)}, -1.0),
        Draw("normal", 1, planes),
        Draw("normal", 2, {"z": (12,)}),
    ]
    session = cuda_host.session(cuda_draws.build(draws, ["noise"]).SerializeToString())
    seed, start, count = 2**64 - 1, 2**40 + 3, 5
    numbers = dict(zip(("seed", "start", "count"), (np.array(n, np.uint64) for n in (seed, start, count)), strict=True))
    names = [output.name for output in session.get_outputs()]
    made = dict(zip(names, session.run(None, numbers), strict=True))
    noise = random.uniform(seed, start, count, (8, 50), 0, -1.0, 1.0)
    identical(made["noise"], np.ascontiguousarray(noise.transpose(0, 2, 1)))
    identical(made["z"], random.normal(seed, start, count, (12,), 2))
    row = random.normal(seed, start, count, (sum(4**k * 16 for k in range(3)),), 1)
    identical(np.concatenate([made[name].reshape(count, -1) for name in planes], axis=1), row)


def test_channels_of_ecgs_are_aligned_and_weights_are_the_networks():
    layers, network = cuda_ecg.widened(_ecg(), 8), _ecg()
    for name, layer in network.layers.items():
        if name in layers:
            out, inputs, _ = layers[name].weight.shape
            assert out % 8 == inputs % 8 == 0
            wide = layers[name].weight
            identical(np.sort(wide[wide != 0]), np.sort(layer.weight[layer.weight != 0]))


@pytest.mark.parametrize("name", [*runs.NVLABS, *runs.ROSINALITY])
def test_images_have_no_convolution_but_nhwcconv(data, name):
    # ONNX Runtime's ConvTranspose for channels last reads a member that it never sets.
    nodes = stylegan2_graphs.build(runs.network(data, name), "synthesis", "none", "cuda").graph.node
    assert not {"Conv", "ConvTranspose"} & {node.op_type for node in nodes}


def test_onnx_runtime_infers_the_sizes_of_convolutions(data):
    """NhwcConv is not on the CPU, but its sizes are inferred before that is found out."""
    models = [
        cuda_ecg.build(_ecg(), 5000),
        stylegan2_graphs.build(runs.network(data, "size32"), "whole", "none", "cuda"),
    ]
    for model in models:
        for node in model.graph.node:
            if node.op_type == "NhwcConv":
                shape = next(list(t.dims) for t in model.graph.initializer if t.name == node.input[1])
                [told] = [list(a.ints) for a in node.attribute if a.name == "kernel_shape"]
                assert told == shape[1:3]
        with pytest.raises(Exception, match=r"Could not find an implementation for NhwcConv\(1\)"):
            cuda_host.session(model.SerializeToString())

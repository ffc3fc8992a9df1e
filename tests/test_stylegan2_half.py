"""StyleGAN2 graphs in float16: near float32 on the golden networks, finite whatever the weights are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from dsb_fast.export import nv_pickle, nv_settings, nvlabs, stylegan2_graphs, stylegan2_network
from onnx import TensorProto, helper
from references import nv_network
from references import stylegan2_runs as runs
from references.arrays import close, identical
from tolerances import STYLEGAN2_HALF

import dsb_fast
from dsb_fast import random

pytestmark = pytest.mark.variant_independent
NETWORKS = [*runs.NVLABS, *runs.ROSINALITY]


def _both(network, noise: str = "const") -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The synthesis in float16 and in float32."""
    return tuple(
        stylegan2_graphs.build(network, "synthesis", noise, precision=precision) for precision in ("fp16", "fp32")
    )


def _everything(model: onnx.ModelProto, **inputs) -> dict[str, np.ndarray]:
    """Every float16 tensor on the way, by name."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    halves = [v for v in inferred if v.type.tensor_type.elem_type == TensorProto.FLOAT16]
    assert len(halves) > 20
    shown.graph.output.extend(helper.make_tensor_value_info(v.name, TensorProto.FLOAT16, None) for v in halves)
    names = [value.name for value in shown.graph.output]
    feed = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
    return dict(zip(names, runs.session(shown).run(names, feed), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_images_are_near_float32(data, name):
    network, golden = runs.network(data, name), runs.golden(data, name)
    w = golden["ws"] if name in runs.NVLABS else golden["wplus"]
    half, single = (runs.run(graph, w=w) for graph in _both(network))
    assert half.dtype == np.float32
    close(half, single, STYLEGAN2_HALF)
    off = np.abs(np.subtract(*(np.clip(image * 127.5 + 128, 0, 255).astype(int) for image in (half, single))))
    assert (off <= 2).mean() >= 0.99 and off.any()


@pytest.mark.parametrize("name", ["ada64_cond_resnet", "size32"])
def test_weights_and_convolutions_are_half_and_the_ends_single(data, name):
    arrays = runs.golden(data, name)
    mean = arrays["w_avg"] if name in runs.NVLABS else arrays["latent_avg"]
    model = stylegan2_graphs.build(runs.network(data, name), "whole", "input", "portable", mean, "fp16")
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and ".enlarged" not in node.name:
            assert types[node.input[1]] == TensorProto.FLOAT16, node.name
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {TensorProto.FLOAT}
    inputs = runs.drawn(model, 3)
    image = runs.run(model, 2, **inputs)
    for k in range(3):
        alone = {key: value[k : k + 1] if np.ndim(value) else value for key, value in inputs.items()}
        identical(runs.run(model, **alone), image[k : k + 1])


_OPTIONS = [
    *({"activation": name, "architecture": "resnet"} for name in nv_settings.ACTIVATIONS),
    {"kernel_size": 5, "resample_filter": [1, 2, 3, 4, 5, 6, 7, 8]}, {"kernel_size": 1, "resample_filter": [1]},
    {"architecture": "orig", "conv_clamp": 0.7}, {"conv_clamp": 0}, {"use_noise": False},
]  # fmt: skip


def _network(seed: int = 0, **synthesis) -> stylegan2_network.StyleGan2Network:
    synthesis = {"channel_base": 64, "channel_max": 8, **synthesis}
    tree = {"G_ema": nv_network.generator(synthesis=synthesis, img_resolution=16, w_dim=6, seed=seed)}
    return stylegan2_network.from_nvlabs(nvlabs.from_tree(nv_pickle.parse(nv_network.dumps(tree))))


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
def test_every_option_is_near_float32(options):
    network = _network(**options)
    w = random.normal(0, 0, 4, (network.num_ws, network.w_dim))
    close(*(runs.run(graph, w=w) for graph in _both(network)), STYLEGAN2_HALF)


def _changed(network, weights: float = 1.0, styles: float = 1.0, biases: float = 1.0):
    """With all demodulated weights, styles and biases multiplied."""

    def layer(conv):
        style = replace(conv.style, weight=conv.style.weight * styles, bias=conv.style.bias * styles)
        return replace(conv, weight=conv.weight * np.float32(weights), style=style, bias=conv.bias * np.float32(biases))

    blocks = tuple(replace(block, convs=tuple(map(layer, block.convs))) for block in network.blocks)
    return replace(network, blocks=blocks)


@pytest.mark.parametrize("factors", [(1e6, 1), (1, 1e6), (1e-6, 1e3), (1e5, 1e5), (1e4, 1e-4)])
@pytest.mark.parametrize("name", ["ada32_uncond_skip", "ada64_cond_resnet"])
def test_large_and_small_weights_and_styles_lose_nothing(data, name, factors):
    network = _changed(runs.network(data, name), *factors)
    half, single = _both(network)
    w = runs.golden(data, name)["ws"]
    close(runs.run(half, w=w), runs.run(single, w=w), STYLEGAN2_HALF)
    for tensor, values in _everything(half, w=w).items():
        assert np.isfinite(values).all(), tensor


@pytest.mark.parametrize("activation", nv_settings.ACTIVATIONS)
@pytest.mark.parametrize("architecture", ["skip", "resnet"])
def test_whatever_the_weights_are_the_image_is_finite(activation, architecture):
    network = _changed(_network(activation=activation, architecture=architecture), biases=1e7)
    loud = [replace(b, convs=tuple(replace(c, noise_strength=1e9) for c in b.convs)) for b in network.blocks]
    half, _ = _both(replace(network, blocks=tuple(loud), const=network.const * np.float32(1e9)), "input")
    inputs = runs.drawn(half, 2)
    assert np.isfinite(runs.run(half, **inputs)).all()
    for tensor, values in _everything(half, **inputs).items():
        assert not np.isnan(values).any(), tensor
        if tensor.endswith((".modulated", ".out", ".transposed", ".activated", ".joined")) or ".filtered." in tensor:
            assert np.isfinite(values).all(), tensor


def test_fused_graphs_are_not_made_in_float16(data):
    network = runs.network(data, "size32")
    with pytest.raises(dsb_fast.InputError, match="precision of fused graphs: 'fp16'; there are fp32"):
        stylegan2_graphs.build(network, "whole", "none", "fused", precision="fp16")

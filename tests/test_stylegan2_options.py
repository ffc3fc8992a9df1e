"""StyleGAN2 graphs of every option that NVIDIA's and rosinality's files can have, against float64 numpy."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from dsb_fast.export import nv_pickle, nv_settings, nvlabs, rosinality, stylegan2_graphs, stylegan2_network
from hypothesis import given, settings
from hypothesis import strategies as st
from references import nv_network, rosinality_network
from references import stylegan2_runs as runs
from references.arrays import close, identical
from references.stylegan2_generator import Nvlabs, Rosinality
from tolerances import OPS, STYLEGAN2_IMAGE

import dsb_fast
from dsb_fast import random

few = settings(max_examples=25, deadline=None)


def _nvlabs(**arguments) -> nvlabs.NvNetwork:
    """A small network with these arguments, read from a pickle."""
    tree = {"G": None, "D": None, "G_ema": nv_network.generator(**arguments)}
    return nvlabs.from_tree(nv_pickle.parse(nv_network.dumps(tree)))


def _rosinality(**arguments) -> rosinality.Rosinality:
    buffer = io.BytesIO()
    torch.save({"g_ema": rosinality_network.state_dict(**arguments)}, buffer)
    return rosinality.from_tree(nv_pickle.parse(buffer.getvalue()))


def _check(read: nvlabs.NvNetwork, flavour: str, batch: int = 2) -> None:
    """Mapping, synthesis with every noise, and the whole network."""
    network, exact = stylegan2_network.from_nvlabs(read), Nvlabs(read)
    z, label = random.normal(1, 0, batch, (read.z_dim,)), random.normal(2, 0, batch, (read.c_dim,))
    expected = exact.mapping(z, label)
    close(runs.run(stylegan2_graphs.build(network, "mapping", "none", flavour), z=z, label=label), expected, OPS)
    w = random.normal(3, 0, batch, (read.num_ws, read.w_dim))
    planes = [random.normal(4, 0, batch, (1, side, side), stream=k) for k, side in enumerate(network.noise_sizes)]
    assert network.noise_sizes == (tuple([4] + [8 << k // 2 for k in range(read.num_ws - 2)]) if planes else ())
    for noise in ("const", "none", "input"):
        graph = stylegan2_graphs.build(network, "synthesis", noise, flavour)
        given_noise = {f"noise_{k}": plane for k, plane in enumerate(planes)}
        image = runs.run(graph, w=w, **given_noise)
        close(image, exact.synthesis(w, planes if noise == "input" else noise), STYLEGAN2_IMAGE)
    whole = stylegan2_graphs.build(network, "whole", "const", flavour)
    psi = {value.name for value in whole.graph.input} & {"truncation_psi"}
    assert bool(psi) == (read.w_avg is not None)
    styles = expected if read.w_avg is None else read.w_avg + 0.6 * (expected - read.w_avg)
    close(runs.run(whole, z=z, label=label, truncation_psi=0.6), exact.synthesis(styles), STYLEGAN2_IMAGE)


@pytest.mark.parametrize("name", runs.NVLABS)
def test_the_reference_is_nvidias(data, name):
    golden, exact = runs.golden(data, name), Nvlabs(nvlabs.from_file(data / f"nvlabs/{name}.pkl"))
    close(exact.mapping(golden["z"], golden["c"]), golden["ws"], 1e-6)
    close(exact.synthesis(golden["ws"][:1]), golden["img_psi1_const"][:1], 1e-6)
    close(exact.synthesis(golden["ws"][:1], "none"), golden["img_psi1_none"][:1], 1e-6)


@pytest.mark.parametrize("name", runs.ROSINALITY)
def test_the_reference_is_rosinalitys(data, name):
    golden, exact = runs.golden(data, name), Rosinality(rosinality.from_file(data / f"rosinality/{name}.pt"))
    close(exact.mapping(golden["z"]), golden["latent_psi1"][:, 0], 1e-6)
    close(exact.synthesis(golden["wplus"][:1]), golden["img_wplus"][:1], 1e-6)


_filters = st.sampled_from([
    [1, 3, 3, 1], [1], None, [1, 2, 1], [1, 2, 3, 2, 4], [2, 1], [[1, 2, 0], [3, 4, 1]], [[1, 2, 3]],
    [1, 2, 3, 4, 5, 6, 7, 8], [3, 1, 2, 1, 1, 0, 2, 1, 5],
])  # fmt: skip
_synthesis = st.fixed_dictionaries({
    "channel_base": st.sampled_from([16, 40]), "channel_max": st.sampled_from([2, 5]),
    "architecture": st.sampled_from(nv_settings.ARCHITECTURES),
    "conv_clamp": st.sampled_from([None, 0.4, 2, 0]), "use_noise": st.booleans(),
    "activation": st.sampled_from(nv_settings.ACTIVATIONS), "kernel_size": st.sampled_from([1, 3, 5, 7]),
    "resample_filter": _filters,
})  # fmt: skip
_mapping = st.fixed_dictionaries({
    "num_layers": st.sampled_from([1, 2, 5]), "embed_features": st.sampled_from([None, 3]),
    "layer_features": st.sampled_from([None, 6]), "activation": st.sampled_from(nv_settings.ACTIVATIONS),
    "lr_multiplier": st.sampled_from([0.01, 1]), "w_avg_beta": st.sampled_from([None, 0.9]),
})  # fmt: skip
_network = st.fixed_dictionaries({
    "z_dim": st.sampled_from([1, 7]), "c_dim": st.sampled_from([0, 1, 3]), "w_dim": st.sampled_from([1, 6]),
    "img_resolution": st.sampled_from([8, 16]), "img_channels": st.sampled_from([1, 3, 4]),
})  # fmt: skip


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
@few
@given(st.sampled_from(["ada", "sg3repo"]), _mapping, _synthesis, _network, st.integers(0, 99), st.integers(1, 2))
def test_any_options(flavour, family, mapping, synthesis, network, seed, batch):
    _check(_nvlabs(family=family, seed=seed, mapping=mapping, synthesis=synthesis, **network), flavour, batch)


_ONE_BY_ONE = [
    *({"architecture": name, "conv_clamp": 0.7} for name in nv_settings.ARCHITECTURES),
    *({"activation": name, "architecture": "resnet"} for name in nv_settings.ACTIVATIONS),
    *({"kernel_size": side, "resample_filter": taps}
      for side in (1, 3, 5, 7) for taps in ([1], [1, 2, 1], [1, 3, 3, 1], [1, 2, 3, 4, 5, 6, 7, 8])),
    {"use_noise": False}, {"conv_clamp": 0},
]  # fmt: skip


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
@pytest.mark.parametrize("options", _ONE_BY_ONE, ids=str)
def test_each_option(flavour, options):
    sizes = {"img_resolution": 8, "img_channels": 2, "z_dim": 5, "w_dim": 4}
    _check(_nvlabs(synthesis={"channel_base": 32, "channel_max": 4, **options}, **sizes), flavour)


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 1), (1, 2), (1,), (1, 4, 2, 3, 1), (1, 2, 3, 4, 5, 6, 7, 8, 9)])
def test_rosinalitys_kernels(flavour, taps):
    read = _rosinality(size=16, style_dim=4, n_mlp=3, channels=(5, 3, 2), taps=taps, seed=7)
    network, exact = stylegan2_network.from_rosinality(read), Rosinality(read)
    z, mean = random.normal(1, 0, 2, (4,)), random.normal(5, 0, 1, (4,))[0] * np.float32(0.2)
    graph = stylegan2_graphs.build(network, "whole", "const", flavour, mean)
    w = exact.mapping(z)
    for psi in (0.6, 1, 1.5):
        rows = np.repeat((mean + min(psi, 1) * (w - mean))[:, None], 6, axis=1)
        close(runs.run(graph, z=z, truncation_psi=psi), exact.synthesis(rows), STYLEGAN2_IMAGE)
    assert {value.name for value in stylegan2_graphs.build(network, "whole", "const", flavour).graph.input} == {"z"}


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
@pytest.mark.parametrize("activation", nv_settings.ACTIVATIONS)
def test_bits_do_not_depend_on_batch_and_threads(flavour, activation):
    synthesis = {"channel_base": 256, "channel_max": 20, "activation": activation, "architecture": "resnet"}
    sizes = {"img_resolution": 16, "c_dim": 2, "z_dim": 19, "w_dim": 17}
    mapping = {"num_layers": 2, "activation": activation}
    network = stylegan2_network.from_nvlabs(_nvlabs(synthesis=synthesis, mapping=mapping, **sizes))
    _same_bits(stylegan2_graphs.build(network, "whole", "input", flavour))


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
@pytest.mark.parametrize("name", ["ada64_cond_resnet", "sg3repo64_cond_skip", "size64_train"])
def test_bits_of_golden_networks_do_not_depend_on_batch_and_threads(data, name, flavour):
    _same_bits(runs.graph(data, name, "whole", "input", flavour))


def _same_bits(model) -> None:
    inputs, sessions = runs.drawn(model, 5), [runs.session(model, threads) for threads in (1, 2)]
    all_of_them = sessions[0].run(None, inputs)[0]
    identical(sessions[1].run(None, inputs)[0], all_of_them)
    for batch in (1, 2, 3):
        for session in sessions:
            for first in range(0, 6 - batch, batch):
                part = {k: v[first : first + batch] if np.ndim(v) else v for k, v in inputs.items()}
                identical(session.run(None, part)[0], all_of_them[first : first + batch])


def test_unknown_parts_and_missing_planes_are_refused(data):
    network = runs.network(data, "ada32_uncond_skip")
    for wrong, what in (
        (("all", "none"), "part: 'all'; there are whole, mapping, synthesis"),
        (("whole", "random"), "noise: 'random'; there are input, const, none"),
        (("whole", "none", "fast"), "flavour: 'fast'; there are portable, fused"),
    ):
        with pytest.raises(dsb_fast.InputError, match=what):
            stylegan2_graphs.build(network, *wrong)
    state = {k: v for k, v in rosinality_network.state_dict().items() if not k.startswith("noises.")}
    buffer = io.BytesIO()
    torch.save({"g_ema": state}, buffer)
    bare = stylegan2_network.from_rosinality(rosinality.from_tree(nv_pickle.parse(buffer.getvalue())))
    assert bare.noise_sizes == (4, 8, 8) and not bare.has_stored_noise
    with pytest.raises(dsb_fast.InputError, match="no stored noise maps"):
        stylegan2_graphs.build(bare, "synthesis", "const")

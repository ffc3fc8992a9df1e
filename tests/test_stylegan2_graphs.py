"""Graphs of NVIDIA's and rosinality's StyleGAN2 generators give the repositories' own styles and images."""

from __future__ import annotations

import numpy as np
import pytest
from references import stylegan2_runs as runs
from references.arrays import close
from tolerances import OPS, STYLEGAN2_IMAGE

FLAVOURS = ["portable"]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", runs.NVLABS)
def test_nvidias_styles_and_images(data, name, flavour):
    golden = runs.golden(data, name)
    inputs, psi = {"z": golden["z"], "label": golden["c"]}, golden["truncation_psi"]
    w = runs.run(runs.graph(data, name, "mapping", "const", flavour), **inputs)
    close(w, golden["ws"], OPS)
    cut, mean = golden["truncation_cutoff"], golden["w_avg"]
    truncated = np.concatenate([mean + psi * (w[:, :cut] - mean), w[:, cut:]], axis=1)
    close(truncated, golden["ws_trunc_cutoff"], OPS)
    for noise in ("const", "none"):
        synthesis = runs.graph(data, name, "synthesis", noise, flavour)
        close(runs.run(synthesis, w=w), golden[f"img_psi1_{noise}"], STYLEGAN2_IMAGE)
        close(runs.run(synthesis, w=truncated), golden[f"img_trunc_cutoff_{noise}"], STYLEGAN2_IMAGE)
        if noise == "const":
            close(runs.run(synthesis, w=golden["ws_mixed"]), golden["img_mixed_const"], STYLEGAN2_IMAGE)
    whole = runs.graph(data, name, "whole", "const", flavour)
    for factor, images in ((psi, "img_trunc_all_const"), (1, "img_psi1_const")):
        close(runs.run(whole, threads=2, **inputs, truncation_psi=factor), golden[images], STYLEGAN2_IMAGE)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", runs.NVLABS)
def test_given_noise_is_the_stored_one_where_it_is_the_same(data, name, flavour):
    golden, network = runs.golden(data, name), runs.network(data, name)
    planes = [layer.noise_const for layer in network.noisy]
    assert tuple(map(len, planes)) == network.noise_sizes
    noise = {f"noise_{k}": np.stack([plane[None]] * len(golden["z"])) for k, plane in enumerate(planes)}
    whole = runs.graph(data, name, "whole", "input", flavour)
    image = runs.run(whole, z=golden["z"], label=golden["c"], truncation_psi=1, **noise)
    close(image, golden["img_psi1_const"], STYLEGAN2_IMAGE)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", runs.ROSINALITY)
def test_rosinalitys_styles_and_images(data, name, flavour):
    golden, z = runs.golden(data, name), {"z": runs.golden(data, name)["z"]}
    w = runs.run(runs.graph(data, name, "mapping", "const", flavour), **z)
    close(w, golden["latent_psi1"], OPS)
    const, given, none = (runs.graph(data, name, "synthesis", noise, flavour) for noise in ("const", "input", "none"))
    pairs = {"latent_trunc": "img_trunc_stored_noise", "latent_mixed": "img_mixed", "wplus": "img_wplus"}
    for rows, images in pairs.items():
        close(runs.run(const, w=golden[rows]), golden[images], STYLEGAN2_IMAGE)
    close(runs.run(const, w=w), golden["img_stored_noise"], STYLEGAN2_IMAGE)
    close(runs.run(none, w=w), golden["img_no_noise"], STYLEGAN2_IMAGE)
    planes = {key: value for key, value in golden.items() if key.startswith("noise_")}
    close(runs.run(given, w=golden["latent_trunc"], **planes), golden["img_trunc_given_noise"], STYLEGAN2_IMAGE)
    whole = runs.graph(data, name, "whole", "const", flavour)
    for factor, images in ((golden["truncation_psi"], "img_trunc_stored_noise"), (1.7, "img_stored_noise")):
        close(runs.run(whole, threads=2, **z, truncation_psi=factor), golden[images], STYLEGAN2_IMAGE)

"""Graphs of NVIDIA's and rosinality's StyleGAN2 generators give the repositories' own styles and images."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from references import stylegan2_runs as runs
from references.arrays import close, identical
from tolerances import OPS, STYLEGAN2_IMAGE

from dsb_fast import _kernels


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
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


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
@pytest.mark.parametrize("name", runs.NVLABS)
def test_given_noise_is_the_stored_one_to_the_bit_where_it_is_the_same(data, name, flavour):
    golden, network = runs.golden(data, name), runs.network(data, name)
    planes = [layer.noise_const for layer in network.noisy]
    assert tuple(map(len, planes)) == network.noise_sizes
    noise = {f"noise_{k}": np.stack([plane[None]] * len(golden["z"])) for k, plane in enumerate(planes)}
    whole = runs.graph(data, name, "whole", "input", flavour)
    inputs = {"z": golden["z"], "label": golden["c"], "truncation_psi": 1}
    image = runs.run(whole, **inputs, **noise)
    close(image, golden["img_psi1_const"], STYLEGAN2_IMAGE)
    identical(runs.run(runs.graph(data, name, "whole", "const", flavour), **inputs), image)


@pytest.mark.parametrize("flavour", runs.FLAVOURS)
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


_PROGRAM = """
import hashlib, pathlib, sys
sys.path.insert(0, sys.argv[1])
from references import stylegan2_runs as runs
from dsb_fast import _kernels
digest = hashlib.sha256()
for name in ("ada64_cond_resnet", "sg3repo64_cond_skip", "size64_train"):
    graph = runs.graph(pathlib.Path(sys.argv[1], "data"), name, "whole", "input", "fused")
    digest.update(runs.run(graph, 2, **runs.drawn(graph, 3)))
print(_kernels.active_variant(), digest.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
@runs.needs_library
def test_fused_images_have_the_same_bits_in_every_variant(data, tmp_path):
    found = {}
    for name, available in _kernels.variants():
        if not available:
            print(f"not run, this CPU lacks it: {name}")
            continue
        environment = {**os.environ, "DSB_FORCE_VARIANT": name}
        command = [sys.executable, "-c", _PROGRAM, str(data.parent)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        ran, found[name] = done.stdout.split()
        assert ran == name, "a variant other than the one asked for ran"
    found.pop("scalar")  # rounds products and sums apart: an arithmetic version of its own
    assert len(set(found.values())) <= 1, found


@runs.needs_library
@pytest.mark.parametrize("name", [*runs.NVLABS, *runs.ROSINALITY])
def test_fused_graphs_leave_nothing_but_rows_to_standard_operators(data, name):
    for part in ("whole", "mapping", "synthesis"):
        nodes = runs.graph(data, name, part, "input", "fused").graph.node
        assert {node.op_type for node in nodes if not node.domain} <= {"Concat", "Expand", "Min", "Unsqueeze"}
        assert part != "synthesis" or all(node.domain == "dsb_fast" for node in nodes)

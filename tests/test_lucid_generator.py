"""The whole generator of stylegan2-pytorch, made of dsb_fast.ops, against the package's own images.

tests/data/lucid/NAME.npz has, from the golden checkpoint NAME and the golden numbers beside it: every tensor of G and,
where ``z`` is there, of S (read with dsb_fast.export.torch_file, unchanged; the blur's constant taps left out), and of
the first one or two samples the noise, and the styles and unclamped image of S and G.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from references import lucid_generator
from references.arrays import IMPLS, close
from tolerances import LUCID_IMAGE, OPS

from dsb_fast import _kernels

CHECKPOINTS = {
    "attn64": "1.5.10, attention before the last two blocks",
    "rgba_noconst32": "1.5.10, four channels, no learned start",
    "v190_attn32": "1.9.0, attention before the second and the last block",
}


@pytest.fixture(params=sorted(CHECKPOINTS))
def golden(request, data):
    with np.load(data / f"lucid/{request.param}.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("impl", IMPLS)
def test_images_are_the_packages(golden, impl):
    ops = lucid_generator.operators(impl)
    weights = lucid_generator.network(golden, "G")
    image = lucid_generator.synthesis(ops, weights, golden["styles_S"], golden["noise"])
    close(image, golden["img_S_raw"], LUCID_IMAGE)
    levels = ops.to_uint8(image, 255, 0.5)
    expected = (np.clip(golden["img_S_raw"], 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    apart = np.abs(levels.astype(int) - expected.transpose(0, 2, 3, 1))
    assert (apart == 0).mean() >= 0.995 and apart.max() <= 1


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("name", ["rgba_noconst32", "v190_attn32"])
def test_styles_are_the_packages(name, data, impl):
    golden, ops = np.load(data / f"lucid/{name}.npz"), lucid_generator.operators(impl)
    w = lucid_generator.mapping(ops, lucid_generator.network(golden, "S"), golden["z"], float(golden["lr_mlp"]))
    close(w, golden["w_S"], OPS)
    styles = golden["av_S"] + golden["trunc_psi"] * (w - golden["av_S"])
    close(np.repeat(styles[:, None], golden["styles_S"].shape[1], axis=1), golden["styles_S"], OPS)


native_only = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")
_PROGRAM = """
import hashlib
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from dsb_fast import _kernels
from references import lucid_generator

digest, ops = hashlib.sha256(), lucid_generator.operators("native")
for file in sys.argv[2:]:
    golden = dict(np.load(file))
    weights = lucid_generator.network(golden, "G")
    digest.update(lucid_generator.synthesis(ops, weights, golden["styles_S"], golden["noise"]))
print(_kernels.active_variant(), digest.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
@native_only
def test_variants_with_fused_multiply_add_agree_on_whole_images(tmp_path, data):
    files, digests = [str(data / f"lucid/{name}.npz") for name in sorted(CHECKPOINTS)], set()
    for name, available in _kernels.variants():
        if name == "scalar" or not available:
            print(f"not run: {name}")
            continue
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(Path(__file__).parent), *files],
            cwd=tmp_path, env={**os.environ, "DSB_FORCE_VARIANT": name}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        ran, digest = done.stdout.split()
        assert ran == name
        digests.add(digest)
    assert len(digests) <= 1


@native_only
@pytest.mark.parametrize("name", ["rgba_noconst32", "v190_attn32"])
def test_a_batch_has_the_bits_of_its_samples(name, data):
    golden, ops = dict(np.load(data / f"lucid/{name}.npz")), lucid_generator.operators("native")
    weights = lucid_generator.network(golden, "G")
    together = lucid_generator.synthesis(ops, weights, golden["styles_S"], golden["noise"])
    for n in range(len(together)):
        part = slice(n, n + 1)
        alone = lucid_generator.synthesis(ops, weights, golden["styles_S"][part], golden["noise"][part])
        assert (alone == together[part]).all()

"""precision="bf16" of image models: offered where the acceptance test passes, refused in one line elsewhere."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import dsb_fast
from dsb_fast import _kernels
from dsb_fast._cli import main
from dsb_fast._library import has_library
from dsb_fast._models.acceptance import COUNT
from dsb_fast._models.card import NEAR, Near

needs_library = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)
CHECKPOINTS = ("attn64/model_3.pt", "plain32/model_7.pt", "v160_attn32/model_1.pt", "v190_attn32/model_5.pt")
NO_TOLERANCE = r"[0-9.]+ % of values equal float32's, the furthest [0-9]+ off; 100 % would be accepted"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path / "cache"))


def test_the_limits():
    reference = np.full((2, 10, 10, 3), 100, np.uint8)
    levels = reference.copy()
    levels[0, 0, 0], levels[1] = 250, 98
    assert NEAR["bf16"].refusal(levels, reference) is None  # 0.5 % are far off
    levels[0, 0, :3] = 103
    assert NEAR["bf16"].refusal(levels, reference) == (
        "1.5 % of values are more than 2 from float32's, the furthest 3; 1 % would be accepted"
    )
    assert "0 % of values equal float32's, the furthest 255 off" in NEAR["fp32"].refusal(np.uint8([0]), np.uint8([255]))
    apart = Near(more_than_one_apart=0.0)
    assert apart.refusal(np.int16([32767]), np.int16([-32768])) and not apart.refusal(np.int16([7]), np.int16([6]))


@needs_library
@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_bfloat16_products_pass(checkpoint, data):
    path = str(data / "lucid/models" / checkpoint)
    lower, full = (dsb_fast.load(path, precision=p) for p in ("bf16", "fp32"))
    off = np.abs(np.subtract(lower.sample(COUNT), full.sample(COUNT), dtype=np.int16))
    print(checkpoint, *(f"{100 * (off > k).mean():.3f} % above {k}" for k in range(3)), "most", off.max())
    assert off.any() and (off > 2).mean() <= 0.01
    info = lower.info
    assert (info["precision"], info["grade"], info["flavour"]) == ("bf16", "near", "fused")
    assert lower.graph_sha256 != full.graph_sha256


@needs_library
def test_what_fails_is_refused_and_the_verdict_kept(data, monkeypatch):
    path = str(data / "lucid/models/attn64/model_3.pt")
    monkeypatch.setitem(NEAR, "bf16", Near(equal_share=1.0))
    with pytest.raises(
        dsb_fast.DeviceError, match=rf"^precision bf16: .*acceptance test .{NO_TOLERANCE}.; fp32 works$"
    ):
        dsb_fast.load(path, precision="bf16")
    monkeypatch.setattr("dsb_fast._models.acceptance._samples", None)  # is not called again
    with pytest.raises(dsb_fast.DeviceError, match=NO_TOLERANCE):
        dsb_fast.load(path, precision="bf16")


@needs_library
def test_attention_stays_in_float32_where_only_that_passes(data, monkeypatch):
    path = str(data / "lucid/models/attn64/model_3.pt")
    refused = iter(["by its attention", None])
    monkeypatch.setattr("dsb_fast._models.acceptance._refusal", lambda *_: next(refused))
    nearer = dsb_fast.load(path, precision="bf16")
    made = nearer.sample(2)
    monkeypatch.setattr("dsb_fast._models.acceptance._refusal", lambda *_: None)
    monkeypatch.setenv("DSB_CACHE_DIR", os.environ["DSB_CACHE_DIR"] + "2")
    faster = dsb_fast.load(path, precision="bf16")
    assert nearer.graph_sha256 != faster.graph_sha256 and not np.array_equal(made, faster.sample(2))


@needs_library
def test_samples_do_not_depend_on_the_batch(data):
    generator = dsb_fast.load(str(data / "lucid/models/attn64/model_3.pt"), precision="bf16")
    whole = generator.sample(9, seed=2)
    parts = list(generator.stream(7, seed=2, start=2, batch_size=3))
    assert np.array_equal(np.concatenate(parts), whole[2:])


@needs_library
def test_an_exported_file(data, tmp_path):
    checkpoint = str(data / "lucid/models/plain32/model_7.pt")
    generator = dsb_fast.load(checkpoint, precision="bf16")
    for flavour in ("fused", "portable"):
        generator.model.export(str(tmp_path / f"{flavour}.onnx"), flavour)
    again = dsb_fast.load(str(tmp_path / "fused.onnx"), precision="bf16")
    assert np.array_equal(again.sample(3), generator.sample(3)) and again.graph_sha256 == generator.graph_sha256
    with pytest.raises(dsb_fast.DeviceError, match=r"^device cpu: it can't run a portable graph in bf16 here; a fused"):
        dsb_fast.load(str(tmp_path / "portable.onnx"), precision="bf16")


@needs_library
def test_a_dataset(data, tmp_path):
    checkpoint = str(data / "lucid/models/plain32/model_7.pt")
    words = ["generate", checkpoint, "-n", "5", "-o", str(tmp_path / "set"), "--precision", "bf16", "--quiet"]
    assert main([*words, "--format", "npy"]) == 0
    manifest = json.loads((tmp_path / "set/dataset.json").read_text())
    assert (manifest["precision"], manifest["grade"]) == ("bf16", "near")
    words = ["verify", str(tmp_path / "set"), "--sample", "5", "--checkpoint", checkpoint]
    assert main(words) == 0


def test_ecgs_and_other_devices_have_none(data):
    with pytest.raises(dsb_fast.DeviceError, match=r"^precision bf16: cardiovascular.ecg fails its acceptance test"):
        dsb_fast.load("cardiovascular.ecg", precision="bf16")
    with pytest.raises(dsb_fast.DeviceError, match=r"^precision fp16: "):
        dsb_fast.load(str(data / "lucid/models/plain32/model_7.pt"), precision="fp16", device="cpu")


@pytest.mark.skipif(has_library() and _kernels.native is not None, reason="the compiled operators are built")
def test_without_the_operators_it_is_refused(data):
    with pytest.raises(dsb_fast.DeviceError, match=r"^precision bf16: device cpu needs the compiled operators"):
        dsb_fast.load(str(data / "lucid/models/plain32/model_7.pt"), precision="bf16")

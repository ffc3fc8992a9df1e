"""The acceptance test of faster precisions, on networks with bfloat16 products in their 3 x 3 layers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from references import ort_graphs

import dsb_fast
from dsb_fast import _kernels
from dsb_fast._library import has_library
from dsb_fast._models.acceptance import COUNT, differences, refusal

needs_library = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)


def test_the_limits():
    reference = np.full((2, 10, 10, 3), 100, np.uint8)
    levels = reference.copy()
    levels[0, 0, 0], levels[1] = 250, 98
    assert refusal(levels, reference) is None  # 0.5 % are far off
    levels[0, 0, :3] = 103
    assert "98.5 % of grey levels are within 2 of float32, the furthest 3 off" in refusal(levels, reference)
    assert differences(np.uint8([0]), np.uint8([255])) == 255


@needs_library
@pytest.mark.parametrize(
    "checkpoint", ["attn64/model_3.pt", "plain32/model_7.pt", "v160_attn32/model_1.pt", "v190_attn32/model_5.pt"]
)
def test_bfloat16_products_pass(checkpoint, data, tmp_path):
    path = data / "lucid/models" / checkpoint
    graph = tmp_path / "fused.onnx"
    words = [sys.executable, "-m", "dsb_fast", "export", str(path), "-o", str(graph), "--flavour", "fused"]
    subprocess.run(words, check=True, capture_output=True)
    model = onnx.load(graph)
    for node in model.graph.node:
        if node.op_type == "ModulatedConv2d":
            node.attribute.append(onnx.helper.make_attribute("products", "bfloat16"))
    generator = dsb_fast.load(str(path))
    options = generator.model.options(truncation=0.75)
    inputs = generator.model.inputs(0, 0, COUNT, options)
    image = ort_graphs.session(model.SerializeToString(), 2).run(None, inputs)[0]
    levels = generator.model.outputs({"image": image}, options)
    reference = generator.model.outputs(generator.run(**inputs), options)
    off = differences(levels, reference)
    print(checkpoint, *(f"{100 * (off > k).mean():.3f} % above {k}" for k in range(3)), "most", off.max())
    assert off.any() and refusal(levels, reference) is None

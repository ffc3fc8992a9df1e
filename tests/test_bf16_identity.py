"""Bits in bfloat16: the same over threads and batch in every variant, whose own instruction is seen to run."""

from __future__ import annotations

import pytest
from references import variants

from dsb_fast import _kernels

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")

_PROGRAM = """
import hashlib
import numpy as np
from dsb_fast import _kernels

draw = np.random.default_rng(3)
native, digest = _kernels.native, hashlib.sha256()

def bits(*shape):
    return native.round_bf16(draw.standard_normal(shape).astype(np.float32), 1)

row = np.array([[0.125, 0.375, 0.375, 0.125]], np.float32)
for h, w, up in ((1, 1, 1), (2, 7, 2), (5, 8, 1), (9, 15, 1), (16, 17, 2), (31, 33, 1), (3, 130, 1)):
    for i, o in ((1, 1), (2, 3), (5, 9), (6, 4)):
        x, weight, styles = bits(3, i, h, w), bits(o, i, 3, 3), draw.standard_normal((3, i)).astype(np.float32)
        noise = draw.standard_normal((h * up + 2, w * up + 2)).astype(np.float32)
        filters = [row, row.T.copy()] if up > 1 else []

        def run(part, threads):
            return native.modulated_conv2d_bf16(
                x[part], weight, styles[part], noise, up, 1, [2] * 4, filters, True, False, threads
            )

        all_at_once = run(slice(None), 1)
        for threads in (2, 3, 8):
            assert (run(slice(None), threads) == all_at_once).all()
        assert (np.concatenate([run(slice(0, 1), 2), run(slice(1, 3), 1)]) == all_at_once).all()
        digest.update(all_at_once)
for stride, repetition in ((1, 1), (2, 1), (1, 3)):
    x, weight = (draw.standard_normal(s).astype(np.float32) for s in ((20, 7, 300), (6, 7, 9)))
    layer = (weight, np.ones(6, np.float32), stride, repetition, 4, "lrelu", 0.1, "bfloat16")
    y = native.conv1d(x, layer)
    assert (np.concatenate([native.conv1d(x[:1], layer), native.conv1d(x[1:], layer)]) == y).all()
    digest.update(y)
for threads in (1, 3):
    x = bits(3, 5, 700)
    y = native.bias_act_bf16(x, np.ones(5, np.float32), "lrelu", 0.2, 1.5, -1.0, threads)
    assert (native.bias_act_bf16(x[1:2], np.ones(5, np.float32), "lrelu", 0.2, 1.5, -1.0, 1) == y[1:2]).all()
    digest.update(y)
tiny = np.full((1, 1, 1, 1), 0x40, np.uint16)  # a denormal number
one = np.full((1, 1, 1, 1), 0x3F80, np.uint16)
style = np.ones((1, 1), np.float32)
kept = int(native.modulated_conv2d_bf16(tiny, one, style, None, 1, 1, [0] * 4, [], False, True, 1)[0, 0, 0, 0])
layer = (np.ones((1, 1, 1), np.float32), np.zeros(1, np.float32), 1, 1, 0, "linear", 0.0, "bfloat16")
lane = float(native.conv1d(np.full((1, 1, 1), 2.0**-130, np.float32), layer)[0, 0, 0])
print(_kernels.active_variant(), digest.hexdigest(), kept, lane)
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_every_variant_is_the_same_over_threads_and_batch(tmp_path):
    """And runs its own instructions: vdpbf16ps takes denormal numbers for zero, what other variants do keeps them."""
    digests = {}
    for name, words in variants.each(_PROGRAM, tmp_path):
        digest, kept, lane = words
        instruction = name == "avx512_bf16"
        assert (int(kept), float(lane)) == ((0, 0.0) if instruction else (0x40, 2.0**-130)), name
        if name != "scalar" and not instruction:
            digests[name] = digest
    assert len(set(digests.values())) <= 1, digests

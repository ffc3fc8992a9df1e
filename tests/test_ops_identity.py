"""Bits of the operators: the same for every variant with fused multiply-add, any thread count and any batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import variants

from dsb_fast import _kernels, ops

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")

_PROGRAM = """
import hashlib
import numpy as np
from dsb_fast import _kernels, ops

draw = np.random.default_rng(3)
def array(*shape):
    return draw.standard_normal(shape).astype(np.float32)

digest = hashlib.sha256()
f = ops.setup_filter([1, 3, 3, 1])
for h, w in ((1, 1), (2, 7), (5, 8), (9, 15), (16, 17), (31, 33), (64, 65), (3, 130)):
    x = array(3, 5, h, w)
    digest.update(ops.upsample2d(x, f))
    digest.update(ops.downsample2d(x, np.arange(1, 13, dtype=np.float32), padding=6))
    digest.update(ops.upfirdn2d(x, array(3, 2), up=[3, 2], down=[2, 1], padding=4))
    for act in ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish"):
        digest.update(ops.bias_act(4 * x, array(5), act=act, clamp=2.5))
    for up, down in ((1, 1), (2, 1), (1, 2)):
        how = dict(up=up, down=down, padding=2, resample_filter=f)
        digest.update(ops.modulated_conv2d(x, array(7, 5, 3, 3), array(3, 5), **how))
    how = dict(up=2, padding=1, resample_filter=f, flip_weight=False, act="lrelu", bias=array(35))
    digest.update(ops.modulated_conv2d(array(2, 19, h, w), array(35, 19, 3, 3), array(2, 19), impl="native", **how))
tail = dict(noise_gain=array(40), bias=array(40), style_offset=1, act="lrelu", gain=1.25, clamp=3)
for size in (1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 33, 70):
    for wide, kernel in ((3, 3), (16, 3), (37, 3), (37, 1), (5, 4)):
        x = array(2, wide, size, size)
        how = dict(padding=[kernel // 2, (kernel - 1) // 2] * 2, flip_weight=size % 2, **tail)
        y = ops.modulated_conv2d(x, array(40, wide, kernel, kernel), array(2, wide), impl="native", **how)
        digest.update(y)
        digest.update(ops.modulated_conv2d(x, array(40, wide, kernel, kernel), array(2, wide), array(*y.shape[2:]),
                                           residual=y, impl="native", **how))
print(_kernels.active_variant(), digest.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_variants_with_fused_multiply_add_agree(tmp_path):
    results = {}
    for name, words in variants.each(_PROGRAM, tmp_path):
        (results[name],) = words
    results.pop("scalar")  # rounds products and sums apart: an arithmetic version of its own
    assert len(set(results.values())) <= 1, results


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_do_not_change_bits(batch):
    draw = np.random.default_rng(0)
    x, styles = (draw.standard_normal(s).astype(np.float32) for s in ((10, 6, 13, 11), (10, 6)))
    weight, f = draw.standard_normal((9, 6, 3, 3)).astype(np.float32), ops.setup_filter([1, 3, 3, 1])

    def run(part):
        return ops.modulated_conv2d(x[part], weight, styles[part], up=2, padding=1, resample_filter=f, impl="native")

    parts = [run(slice(k, k + batch)) for k in range(0, 10, batch)]
    assert (np.concatenate(parts) == run(slice(None))).all()


def test_threads_do_not_change_bits():
    draw = np.random.default_rng(0)
    x, styles = (draw.standard_normal(s).astype(np.float32) for s in ((3, 6, 13, 70), (3, 6)))
    weight = draw.standard_normal((9, 6, 3, 3)).astype(np.float32)
    results = [
        _kernels.native.modulated_conv2d(x, weight, styles, None, 1, 1, [1] * 4, [], True, True, threads)
        for threads in (1, 2, 3, 8)
    ]
    assert all((result == results[0]).all() for result in results)


def test_a_host_that_flushes_denormals_changes_nothing():
    """Libraries built with -ffast-math set flush-to-zero for their thread; kernels work without it and put it back."""
    tiny = np.full((1, 1, 1, 40), 1e-40, np.float32)
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU has no flush-to-zero mode")
    try:
        got = ops.bias_act(tiny, impl="native")
        resampled = ops.upsample2d(tiny, ops.setup_filter([1, 3, 3, 1]), impl="native")
        still_flushing = float(torch.tensor([1e-40]) * 1) == 0.0
    finally:
        torch.set_flush_denormal(False)
    assert (got == tiny).all() and (resampled[0, 0, 0, 4:8] > 0).all()
    assert still_flushing

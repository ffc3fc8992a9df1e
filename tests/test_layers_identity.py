"""Bits of the GI-tract network's layers: the same for every variant with FMA, any thread count and any batch."""

from __future__ import annotations

import numpy as np
import pytest
from references import variants
from references.arrays import random

from dsb_fast import _kernels, ops

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")

_PROGRAM = """
import hashlib
import numpy as np
from dsb_fast import _kernels, ops

draw = np.random.default_rng(3)
def array(*shape):
    return draw.standard_normal(shape).astype(np.float32)

fused, exact = hashlib.sha256(), hashlib.sha256()
for h, w in ((1, 1), (2, 7), (5, 8), (9, 15), (16, 17), (31, 33), (64, 65), (3, 130)):
    x = array(3, 12, h, w)
    fused.update(ops.upsample_bilinear2d(x))
    exact.update(ops.blur2d(x))
    fused.update(ops.channel_norm(x, array(12), array(12)))
    fused.update(ops.channel_norm(x, array(12), array(12), 1e-2, "deviation"))
    fused.update(ops.instance_norm(x, array(12), array(12)))
    fused.update(ops.conv1x1(x, array(19, 12), array(19), "gelu", residual=array(3, 19, h, w)))
    fused.update(ops.feed_forward(x, array(24, 12), array(24), array(12, 24), array(12)))
    to_q, to_k, to_v, to_out = array(22, 12), array(22, 12), array(10, 12), array(13, 10)
    how = dict(q_bias=array(22), v_bias=array(10), out_bias=array(13), q_scale=0.5, residual=array(3, 13, h, w))
    for act in ("linear", "gelu"):
        fused.update(ops.attention(x, to_q, to_k, to_v, to_out, 2, source=array(3, 12, h, w), act=act, **how))
    fused.update(ops.depthwise_conv2d(x, array(12, 3, 3), 1))
    fused.update(ops.linear_attention(x, array(3, 12, h, w), array(3, 30, h, w), 2, 0.5, 0.25, 0.125))
    fused.update(ops.dense(x[:, :, 0].reshape(3, -1), array(70, 12 * w), array(70), 0.1, 0.01, "lrelu"))
    how = dict(noise_gain=array(7), bias=array(7), act="lrelu", gain=1, clamp=2.5, style_offset=1.0)
    fused.update(ops.modulated_conv2d(x, array(7, 12, 3, 3), array(3, 12), array(3, 1, h, w), padding=1, **how))
    fused.update(ops.bias_act(4 * x, array(12), act="gelu"))
    exact.update(ops.normalize_latent(x.reshape(3, -1), "l2"))
    exact.update(ops.normalize_latent(x.reshape(3, -1), "rms"))
    exact.update(ops.to_uint8(x, 127.5, 128))
    exact.update(ops.to_microvolt(x))
print(_kernels.active_variant(), fused.hexdigest(), exact.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_variants_agree(tmp_path):
    """All of them where nothing is fused, all but scalar where sums are."""
    fused, exact = {}, set()
    for name, words in variants.each(_PROGRAM, tmp_path):
        fused[name], unfused = words
        exact.add(unfused)
    fused.pop("scalar")  # rounds products and sums apart: an arithmetic version of its own
    assert len(set(fused.values())) <= 1, fused
    assert len(exact) == 1


_WEIGHTS = {
    "norm": (random(1, 8), random(2, 8)),
    "wide": (random(3, 70, 8), random(4, 70), "lrelu"),
    "forward": (random(5, 16, 8), random(6, 16), random(7, 8, 16), random(8, 8)),
    "attention": (random(13, 20, 8), random(14, 20, 8), random(15, 36, 8), random(16, 8, 36), 4),
    "taps": random(9, 8, 3, 3),
    "dense": (random(10, 130, 8 * 9 * 11), random(11, 130)),
    "conv": random(12, 9, 8, 3, 3),
}
LAYERS = {
    "upsample_bilinear2d": ops.upsample_bilinear2d,
    "blur2d": ops.blur2d,
    "channel_norm": lambda x, **how: ops.channel_norm(x, *_WEIGHTS["norm"], **how),
    "channel_norm, eps to the deviation": lambda x, **how: ops.channel_norm(
        x, *_WEIGHTS["norm"], 1e-2, "deviation", **how
    ),
    "instance_norm": lambda x, **how: ops.instance_norm(x, *_WEIGHTS["norm"], **how),
    "conv1x1": lambda x, **how: ops.conv1x1(x, *_WEIGHTS["wide"], **how),
    "feed_forward": lambda x, **how: ops.feed_forward(x, *_WEIGHTS["forward"], residual=x, **how),
    "attention": lambda x, **how: ops.attention(x, *_WEIGHTS["attention"], source=x[:, ::-1], residual=x, **how),
    "attention, gelu": lambda x, **how: ops.attention(x, *_WEIGHTS["attention"], act="gelu", **how),
    "depthwise_conv2d": lambda x, **how: ops.depthwise_conv2d(x, _WEIGHTS["taps"], 1, **how),
    "linear_attention": lambda x, **how: ops.linear_attention(x, 2 * x, x[:, ::-1], 2, **how),
    "dense": lambda x, **how: ops.dense(x.reshape(len(x), -1), *_WEIGHTS["dense"], **how),
    "normalize_latent": lambda x, **how: ops.normalize_latent(x.reshape(len(x), -1), "rms", **how),
    "to_uint8": lambda x, **how: ops.to_uint8(x, 127.5, 128, **how),
    "modulated_conv2d": lambda x, **how: ops.modulated_conv2d(
        x, _WEIGHTS["conv"], x[:, :, 0, 0], x[:, :1], padding=1, noise_gain=_WEIGHTS["conv"][:, 0, 0, 0],
        style_offset=1, **how,
    ),
}  # fmt: skip


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_batches_do_not_change_bits(name, batch):
    x = random(0, 10, 8, 9, 11)
    parts = [LAYERS[name](x[k : k + batch], impl="native") for k in range(0, 10, batch)]
    assert (np.concatenate(parts) == LAYERS[name](x, impl="native")).all()


def test_threads_do_not_change_bits():
    """Sizes at which the work of every layer is shared out."""
    native = _kernels.native
    x, z = random(0, 3, 64, 48, 50), random(1, 100, 512)
    g, wide, taps, weight = random(2, 64), random(3, 320, 64), random(4, 64, 3, 3), random(5, 700, 512)
    calls = {
        "upsample_bilinear2d": lambda threads: native.upsample_bilinear2d(x, threads),
        "blur2d": lambda threads: native.blur2d(x, threads),
        "channel_norm": lambda threads: native.channel_norm(x, g, g, 1e-5, True, threads),
        "instance_norm": lambda threads: native.instance_norm(x, g, g, 1e-5, threads),
        "depthwise_conv2d": lambda threads: native.depthwise_conv2d(x, taps, 1, threads),
        "conv1x1": lambda threads: native.conv1x1(x, wide, None, "gelu", 0.0, 1.0, None, threads),
        "feed_forward": lambda threads: native.feed_forward(x, wide, None, wide.T.copy(), g, 0.2, 0.5, x, threads),
        "attention": lambda threads: native.attention(
            x, x, wide, wide, wide, wide.T.copy(), None, None, g, x, 5, 0.5, 0.5, 1.0, False, 1.0, threads
        ),
        "attention, gelu": lambda threads: native.attention(
            x, x, wide, wide, wide, wide.T.copy(), None, None, g, None, 5, 0.5, 0.5, 1.0, True, 1.0, threads
        ),
        "linear_attention": lambda threads: native.linear_attention(x, x, x, 8, 0.5, 0.5, 1.0, threads),
        "dense": lambda threads: native.dense(z, weight, None, 1.0, 1.0, "lrelu", 0.2, 1.0, threads),
        "grey_levels": lambda threads: native.grey_levels(x, 127.5, 128.0, threads),
    }
    for name, call in calls.items():
        expected = call(1)
        for threads in (2, 3, 8):
            assert (call(threads) == expected).all(), (name, threads)

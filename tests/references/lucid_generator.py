"""stylegan2-pytorch's generator, versions 1.5.10 to 1.9.0, in terms of dsb_fast.ops.

``ops`` is an object with the operators as attributes, bound to an implementation by :func:`operators`; ``weights`` are
the tensors of one network by their names in the checkpoint, prefix and dot removed.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np

from dsb_fast import ops as dsb_ops

HEADS, FEATURES = 8, 64


def operators(impl: str) -> SimpleNamespace:
    """All operators of dsb_fast.ops that have implementations, with ``impl`` chosen."""
    names = set(dsb_ops.__all__) - {"library_path", "setup_filter"}
    return SimpleNamespace(**{name: partial(getattr(dsb_ops, name), impl=impl) for name in names})


def network(tensors, prefix: str) -> dict[str, np.ndarray]:
    """The tensors of one network: S, G, SE or GE."""
    return {name[len(prefix) + 1 :]: tensors[name] for name in tensors if name.startswith(prefix + ".")}


def mapping(ops, weights, z, lr_mlp: float):
    """z to w: [N, latent]."""
    w = ops.normalize_latent(z, "l2")
    for layer in sorted({int(name.split(".")[1]) for name in weights}):
        weight, bias = weights[f"net.{layer}.weight"], weights[f"net.{layer}.bias"]
        w = ops.dense(w, weight, bias, lr_mlp, lr_mlp, "lrelu")
    return w


def synthesis(ops, weights, styles, noise, attention=None):
    """Images [N, 3 or 4, size, size], not clamped, of styles [N, blocks, latent] and a noise map [N, size, size, 1].

    ``attention``: "1.8.0" where that version's is meant, whose tensors have the names of 1.9.0's.
    """
    x, image, blocks = _start(ops, weights, styles), None, styles.shape[1]
    for index in range(blocks):
        x = _attention(ops, weights, f"attns.{index}", x, "deviation" if attention == "1.8.0" else "variance")
        x = ops.upsample_bilinear2d(x) if index else x
        block = network(weights, f"blocks.{index}")
        x, colours = _block(ops, block, x, styles[:, index], noise)
        image = colours if image is None else image + colours
        if index < blocks - 1:
            image = ops.blur2d(ops.upsample_bilinear2d(image))
    return image


def _start(ops, weights, styles):
    """The 4 x 4 map, learned or made of the mean style, after its plain convolution."""
    n = len(styles)
    if "initial_block" in weights:
        x = np.repeat(weights["initial_block"], n, axis=0)
    else:  # a transposed convolution of a single point
        weight = weights["to_initial_block.weight"]
        x = ops.dense(styles.mean(1), weight.reshape(len(weight), -1).T).reshape(n, -1, 4, 4)
    weight, bias = weights["initial_conv.weight"], weights["initial_conv.bias"]
    ones = np.ones(x.shape[:2], np.float32)
    return ops.modulated_conv2d(x, weight, ones, padding=1, demodulate=False, bias=bias)


def _block(ops, weights, x, style, noise):
    size = x.shape[2]
    plane = noise[:, None, :size, :size, 0].swapaxes(2, 3)  # the package adds it transposed
    for k in "12":
        factors = ops.dense(style, weights[f"to_style{k}.weight"], weights[f"to_style{k}.bias"])
        x = ops.modulated_conv2d(
            x, weights[f"conv{k}.weight"], factors, plane, padding=1, noise_gain=weights[f"to_noise{k}.weight"][:, 0],
            bias=weights[f"to_noise{k}.bias"], act="lrelu", gain=1, style_offset=1,
        )  # fmt: skip
    factors = ops.dense(style, weights["to_rgb.to_style.weight"], weights["to_rgb.to_style.bias"])
    return x, ops.modulated_conv2d(x, weights["to_rgb.conv.weight"], factors, demodulate=False, style_offset=1)


def _attention(ops, weights, name, x, eps_to):
    """The attention of that name and its feed-forward, or ``x`` where the block has none."""
    first, second = network(weights, f"{name}.0.fn"), network(weights, f"{name}.1.fn")
    if not first:
        return x
    if "fn.to_kv.net.0.weight" in first:
        x = _attend_1_6(ops, first, _norm(ops, first, x, eps_to), x)
    else:
        x = _attend_1_5(ops, first, x)
    return _feed_forward(ops, second, _norm(ops, second, x, eps_to), x)


def _norm(ops, weights, x, eps_to):
    if "norm.weight" in weights:
        return ops.instance_norm(x, weights["norm.weight"], weights["norm.bias"])
    if "norm.g" not in weights:
        return x
    return ops.channel_norm(x, weights["norm.g"].reshape(-1), weights["norm.b"].reshape(-1), eps_to=eps_to)


def _last(weights, layer):
    """Weight, bias and gain; a gain a channel is multiplied into the first two, as the graphs have it."""
    values, gain = [weights[f"{layer}.{kind}"] for kind in ("weight", "bias")], weights.get("g", np.ones(1)).reshape(-1)
    if len(gain) == 1:
        return *values, float(gain[0])
    scaled = [np.float64(v) * np.float64(gain).reshape(-1, *[1] * (v.ndim - 1)) for v in values]
    return *(v.astype(values[0].dtype) for v in scaled), 1.0


def _feed_forward(ops, weights, x, residual):
    *layers, gain = *(weights[f"fn.0.{kind}"] for kind in ("weight", "bias")), *_last(weights, "fn.2")
    return ops.feed_forward(x, *layers, gain=gain, residual=residual)


def _attend_1_5(ops, weights, x):
    to_q, to_k, to_v = (weights[f"fn.to_{n}.weight"] for n in "qkv")
    to_out, out_bias, gain = _last(weights, "fn.to_out")
    scale, biases = FEATURES**-0.25, {f"{n}_bias": weights[f"fn.to_{n}.bias"] for n in "qv"}  # k's does nothing
    how = {"q_scale": scale, "k_scale": scale, "out_bias": out_bias, "gain": gain, "residual": x, **biases}
    return ops.attention(x, to_q, to_k, to_v, to_out, HEADS, **how)


def _attend_1_6(ops, weights, x, residual):
    near = ops.depthwise_conv2d(x, weights["fn.to_kv.net.0.weight"], 1)
    to_k, to_v = np.split(weights["fn.to_kv.net.1.weight"], 2)
    to_out, out_bias, gain = _last(weights, "fn.to_out")
    how = {"source": near, "out_scale": FEATURES**-0.5, "act": "gelu", "out_bias": out_bias, "gain": gain}
    return ops.attention(x, weights["fn.to_q.weight"], to_k, to_v, to_out, HEADS, residual=residual, **how)

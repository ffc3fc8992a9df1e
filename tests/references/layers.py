"""The layers of stylegan2-pytorch's generator in float64 numpy, written index by index from their description."""

from __future__ import annotations

import math

import numpy as np
import torch


def _double(x):
    return np.asarray(x, np.float64)


def upsample_bilinear2d(x):
    """Each output point lies at (index + 1/2) / 2 - 1/2 of the input, which is continued by its border."""
    x = _double(x)
    for axis in (2, 3):
        size = x.shape[axis]
        place = (np.arange(2 * size) + 0.5) / 2 - 0.5
        low = np.floor(place).astype(int)
        weight = (place - low).reshape([-1 if k == axis else 1 for k in range(4)])
        first, second = (np.take(x, np.clip(low + k, 0, size - 1), axis) for k in (0, 1))
        x = first * (1 - weight) + second * weight
    return x


def blur2d(x):
    """A sum of nine shifted copies of the image, continued by its mirror image; a single row by itself."""
    x = _double(x)
    for axis in (2, 3):
        pad = [(1, 1) if k == axis else (0, 0) for k in range(4)]
        x = np.pad(x, pad, mode="reflect" if x.shape[axis] > 1 else "edge")
    h, w = x.shape[2] - 2, x.shape[3] - 2
    taps = np.outer([1, 2, 1], [1, 2, 1]) / 16
    return sum(taps[dy, dx] * x[:, :, dy : dy + h, dx : dx + w] for dy in range(3) for dx in range(3))


def channel_norm(x, g, b, eps, eps_to="variance", over=1):
    """Two passes: mean, then variance."""
    x = _double(x)
    mean = x.mean(over, keepdims=True)
    variance = ((x - mean) ** 2).mean(over, keepdims=True)
    divisor = np.sqrt(variance) + eps if eps_to == "deviation" else np.sqrt(variance + eps)
    return (x - mean) / divisor * _double(g)[:, None, None] + _double(b)[:, None, None]


def instance_norm(x, g, b, eps):
    """The same over the positions of a channel."""
    return channel_norm(x, g, b, eps, over=(2, 3))


def conv1x1(x, weight):
    """A weighted sum of planes."""
    return np.einsum("oi,nihw->nohw", _double(weight), _double(x), optimize=True)


def depthwise_conv2d(x, weight, padding):
    """Tap by tap on the padded image."""
    x, (kh, kw) = _double(x), weight.shape[1:]
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    h, w = x.shape[2] - kh + 1, x.shape[3] - kw + 1
    out = np.zeros((*x.shape[:2], h, w))
    for dy in range(kh):
        for dx in range(kw):
            out += x[:, :, dy : dy + h, dx : dx + w] * _double(weight)[:, dy, dx][:, None, None]
    return out


def _softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def linear_attention(q, k, v, heads, q_scale, k_scale, out_scale):
    """One sample and head after the other."""
    n, channels, h, w = q.shape
    d, e = channels // heads, v.shape[1] // heads
    out = np.zeros((n, heads * e, h * w))
    for sample in range(n):
        of = {name: _double(t[sample]).reshape(-1, h * w) for name, t in (("q", q), ("k", k), ("v", v))}
        for head in range(heads):
            query, key = of["q"][head * d : (head + 1) * d], of["k"][head * d : (head + 1) * d]
            value = of["v"][head * e : (head + 1) * e]
            context = _softmax(key * k_scale, 1) @ value.T
            out[sample, head * e : (head + 1) * e] = out_scale * (context.T @ _softmax(query * q_scale, 0))
    return out.reshape(v.shape)


def attention(x, source, weights, biases, heads, scales, act, gain):
    """Every q, k and v, then linear_attention, then the last convolution; biases of q, v and the last."""
    (to_q, to_k, to_v, to_out), (q_bias, v_bias, out_bias) = weights, biases

    def mapped(values, weight, bias):
        y = conv1x1(values, weight)
        return y if bias is None else y + _double(bias)[:, None, None]

    q, k, v = mapped(x, to_q, q_bias), mapped(source, to_k, None), mapped(source, to_v, v_bias)
    y = linear_attention(q, k, v, heads, *scales)
    return gain * mapped(gelu(y) if act == "gelu" else y, to_out, out_bias)


def dense(x, weight, bias, weight_gain, bias_gain):
    """x W^T + b, before the activation."""
    y = _double(x) @ (_double(weight) * weight_gain).T
    return y if bias is None else y + _double(bias) * bias_gain


def normalize_latent(z, kind):
    """By the Euclidean norm, or by the root mean square."""
    z = _double(z)
    if kind == "l2":
        return z / np.maximum(np.sqrt((z**2).sum(1, keepdims=True)), 1e-12)
    return z / np.sqrt((z**2).mean(1, keepdims=True) + 1e-8)


def gelu(x):
    """x times the normal distribution's share below x, by torch's erfc."""
    x = _double(x)
    return x * 0.5 * torch.special.erfc(torch.from_numpy(-x / math.sqrt(2))).numpy()

"""StyleGAN2-ADA's operators in float64 numpy, written index by index from their description."""

from __future__ import annotations

import math

import numpy as np

from .layers import gelu


def upfirdn2d(x, f, up, down, padding, flip_filter, gain):
    """Insert, pad or crop, correlate with the turned taps, decimate; the axes one after the other for 1-D taps."""
    x = np.asarray(x, np.float64)
    f = np.ones((1, 1)) if f is None else np.asarray(f, np.float64)
    f = f if f.ndim == 2 else np.outer(f, f)
    (up_x, up_y), (down_x, down_y), (left, right, top, bottom) = up, down, padding
    n, c, h, w = x.shape
    big = np.zeros((n, c, h * up_y, w * up_x))
    big[:, :, ::up_y, ::up_x] = x
    height, width = h * up_y + top + bottom, w * up_x + left + right
    canvas = np.zeros((n, c, height, width))
    for y in range(height):
        for k in range(width):
            if 0 <= y - top < big.shape[2] and 0 <= k - left < big.shape[3]:
                canvas[:, :, y, k] = big[:, :, y - top, k - left]
    taps = f if flip_filter else f[::-1, ::-1]
    rows, columns = (height - f.shape[0]) // down_y + 1, (width - f.shape[1]) // down_x + 1
    out = np.zeros((n, c, rows, columns))
    for y in range(rows):
        for k in range(columns):
            window = canvas[:, :, y * down_y : y * down_y + f.shape[0], k * down_x : k * down_x + f.shape[1]]
            out[:, :, y, k] = (window * taps).sum((2, 3)) * gain
    return out


def modulated_conv2d(x, weight, styles, noise, up, down, padding, f, demodulate, flip_weight):
    """One sample and one output channel at a time, with modulated and demodulated weights."""
    f64 = np.ones((1, 1)) if f is None else np.asarray(f, np.float64)
    f64 = f64 if f64.ndim == 2 else np.outer(f64, f64)
    pad = list(padding)
    for axis, taps in enumerate((f64.shape[1], f64.shape[0])):
        if up > 1:
            pad[2 * axis] += (taps + up - 1) // 2
            pad[2 * axis + 1] += (taps - up) // 2
        if down > 1:
            pad[2 * axis] += (taps - down + 1) // 2
            pad[2 * axis + 1] += (taps - down) // 2
    big = upfirdn2d(x, f64 if up > 1 else None, (up, up), (1, 1), pad, False, up * up if up > 1 else 1)
    weight, out = np.asarray(weight, np.float64), []
    for n in range(len(x)):
        w = weight * np.asarray(styles[n], np.float64)[None, :, None, None]
        if demodulate:
            w = w / np.sqrt((w**2).sum((1, 2, 3), keepdims=True) + 1e-8)
        w = w if flip_weight else w[:, :, ::-1, ::-1]
        kh, kw = w.shape[2:]
        rows, columns = big.shape[2] - kh + 1, big.shape[3] - kw + 1
        y = np.zeros((1, len(w), rows, columns))
        for dy in range(kh):
            for dx in range(kw):
                y[0] += np.einsum("oi,ihw->ohw", w[:, :, dy, dx], big[n, :, dy : dy + rows, dx : dx + columns])
        if down > 1:
            y = upfirdn2d(y, f64, (1, 1), (down, down), (0, 0, 0, 0), False, 1)
        out.append(y)
    y = np.concatenate(out) if out else np.zeros((0, len(weight), 1, 1))
    return y if noise is None else y + np.asarray(noise, np.float64)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848
ACTIVATIONS = {
    "linear": lambda v, a: v,
    "relu": lambda v, a: np.maximum(v, 0),
    "lrelu": lambda v, a: np.where(v < 0, v * a, v),
    "tanh": lambda v, a: np.tanh(v),
    "sigmoid": lambda v, a: 1 / (1 + np.exp(-v)),
    "elu": lambda v, a: np.where(v < 0, np.expm1(np.minimum(v, 0)), v),
    "selu": lambda v, a: _SELU_SCALE * np.where(v < 0, _SELU_ALPHA * np.expm1(np.minimum(v, 0)), v),
    "softplus": lambda v, a: np.logaddexp(0, v),
    "swish": lambda v, a: v / (1 + np.exp(-v)),
    "gelu": lambda v, a: gelu(v),
}


def bias_act(x, b, dim, act, alpha, gain, clamp):
    """Bias, activation, gain, clamp, in this order."""
    x = np.asarray(x, np.float64)
    if b is not None:
        x = x + np.asarray(b, np.float64).reshape([-1 if k == dim else 1 for k in range(x.ndim)])
    alpha = 0.2 if alpha is None else alpha
    gain = (math.sqrt(2) if act in ("relu", "lrelu", "swish") else 1.0) if gain is None else gain
    y = ACTIVATIONS[act](x, alpha) * gain
    return y if clamp is None else np.clip(y, -clamp, clamp)

"""stylegan2-pytorch's attention blocks, versions 1.5.10 to 1.9.0.

As in the exported graphs v is never made at every position: the softmax of k sums to 1 over the positions, so that
sum_p k v^T = (sum_p k x^T) Wv^T + bv, and k's bias changes nothing. Softmaxes and contexts are float32.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as f

from .layers import Weights

_HEADS, _FEATURES, _SLOPE, _EPS = 8, 64, 0.2, 1e-5


class Attention:
    """Attention and feed-forward on [N, C, size, size], each added to its input."""

    @classmethod
    def of(cls, weights: Weights, generator, index: int, kind: str | None):
        """That of a block, or None where the block has none. ``kind`` is what its tensors do not tell."""
        prefix = f"attns.{index}."
        tensors = {name.removeprefix(prefix): value for name, value in generator.items() if name.startswith(prefix)}
        return cls(weights, tensors, kind) if tensors else None

    def __init__(self, weights: Weights, tensors, kind: str | None):
        self._weights, self._tensors, self._kind = weights, tensors, kind
        self._first, self._second = self._norm("0.fn"), self._norm("1.fn")
        self._near = None
        if "0.fn.fn.to_kv.net.0.weight" in tensors:  # from 1.6.0 on
            self._near = weights.conv(tensors["0.fn.fn.to_kv.net.0.weight"])
            k, v = np.split(self._matrix("0.fn.fn.to_kv.net.1"), 2)
            scales, self._bias_q, bias = (1.0, 1.0, _FEATURES**-0.5), None, np.zeros(len(v))
        else:
            k, v = self._matrix("0.fn.fn.to_k"), self._matrix("0.fn.fn.to_v")
            scales, bias = (_FEATURES**-0.25, _FEATURES**-0.25, 1.0), tensors["0.fn.fn.to_v.bias"]
            self._bias_q = self._own(tensors["0.fn.fn.to_q.bias"] * scales[0])
        self._q, self._k = self._own(self._matrix("0.fn.fn.to_q") * scales[0]), self._own(k * scales[1])
        self._v = weights.single((v * scales[2]).reshape(_HEADS, _FEATURES, -1).transpose(0, 2, 1))
        self._bias_v = weights.single(bias.reshape(_HEADS, 1, _FEATURES))
        self._out = self._layer("0.fn.fn.to_out", self._gain("0.fn"))
        self._wide, self._narrow = self._layer("1.fn.fn.0"), self._layer("1.fn.fn.2", self._gain("1.fn"))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        channels, size = x.shape[1], x.shape[2:]
        x = x + self._attend(self._first(x), channels).unflatten(1, size).permute(0, 3, 1, 2)
        y = self._second(x).permute(0, 2, 3, 1)
        y = f.linear(f.leaky_relu_(f.linear(y, *self._wide), _SLOPE), *self._narrow)
        return x + y.permute(0, 3, 1, 2)

    def _attend(self, x: torch.Tensor, channels: int) -> torch.Tensor:
        """[N, positions, C]."""
        near = x if self._near is None else f.conv2d(x, self._near, padding=1, groups=channels)
        x, near = (y.permute(0, 2, 3, 1).flatten(1, 2) for y in (x, near))
        k = f.linear(near, self._k).float().softmax(1)  # over the positions
        context = (k.transpose(1, 2) @ near.float()).unflatten(1, (_HEADS, _FEATURES)) @ self._v + self._bias_v
        q = f.linear(x, self._q, self._bias_q).float().unflatten(2, (_HEADS, _FEATURES)).softmax(3)
        if self._near is None:  # nothing is between: the output layer goes into each sample's context
            weight, bias = self._out
            folded = context @ weight.float().T.unflatten(0, (_HEADS, _FEATURES))
            return q.flatten(2).to(x.dtype) @ folded.flatten(1, 2).to(x.dtype) + bias
        y = f.gelu((q.transpose(1, 2) @ context).transpose(1, 2).flatten(2))
        return f.linear(y.to(x.dtype), *self._out)

    def _matrix(self, name: str) -> np.ndarray:
        """The weight of a 1 x 1 convolution, float64 [out, in]."""
        return np.float64(self._tensors[f"{name}.weight"][:, :, 0, 0])

    def _own(self, values) -> torch.Tensor:
        return self._weights.single(values).to(self._weights.dtype)

    def _gain(self, part: str) -> np.ndarray:
        """What the part's result is multiplied by: one number or one a channel."""
        return np.float64(self._tensors.get(f"{part}.g", np.ones(1))).reshape(-1)

    def _layer(self, name: str, gain=1.0) -> tuple[torch.Tensor, torch.Tensor]:
        gain = np.reshape(gain, -1)
        return self._own(self._matrix(name) * gain[:, None]), self._own(self._tensors[f"{name}.bias"] * gain)

    def _norm(self, part: str):
        """What the part normalises its input by: nothing up to 1.7.0, positions in 1.8.3, channels in the others."""
        if f"{part}.norm.g" in self._tensors:
            axes, names = (1,), ("norm.g", "norm.b")
        elif f"{part}.norm.weight" in self._tensors:
            axes, names = (2, 3), ("norm.weight", "norm.bias")
        else:
            return lambda x: x
        gain, bias = (self._weights.single(self._tensors[f"{part}.{n}"].reshape(-1, 1, 1)) for n in names)
        return lambda x: self._normal(x, axes, gain, bias)

    def _normal(self, x: torch.Tensor, axes: tuple[int, ...], gain, bias) -> torch.Tensor:
        single = x.float()
        apart = single - single.mean(axes, keepdim=True)
        variance = apart.square().mean(axes, keepdim=True)
        deviation = variance.sqrt() + _EPS if self._kind == "1.8.0" else (variance + _EPS).sqrt()
        return (apart / deviation * gain + bias).to(x.dtype)

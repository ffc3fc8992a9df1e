"""NVIDIA's and rosinality's StyleGAN2, from the description that both are settled in."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as f

from .. import ops
from ..export.stylegan2_filters import filters
from ..export.stylegan2_network import Linear, Modulated, StyleGan2Network
from .layers import ModulatedWeight, Weights

_LEAST = 1e-8
_REACH = 1024.0  # of activations in float16 that the network does not clamp further, as in the exported graphs


class StyleGan2:
    """``part`` "whole" (z, label, noise_0, ..., truncation_psi to image), "mapping" or "synthesis" (w, noise_0, ...).

    ``noise`` "input" takes the planes, "const" has the stored ones, "none" has none.
    """

    def __init__(self, part: str, noise: str, network: StyleGan2Network, mean_style, device, dtype):
        weights = Weights(device, dtype)
        self._part, self._noise, self._network, self._weights = part, noise, network, weights
        self.image_size = network.resolution
        self._mean = None if mean_style is None else weights.single(np.reshape(mean_style, -1))
        self._mapping = [_Dense(weights, layer) for layer in network.mapping]
        self._embed = _Dense(weights, network.embed) if network.embed else None
        if part == "mapping":
            return
        self._filter = weights.single(network.filter)
        self._steps = {}  # of a convolution to twice the size, by the side of its weight
        for side in {conv.weight.shape[2] for block in network.blocks for conv in block.convs if conv.up}:
            ends = [(weights.single(k.taps), k.ends(side)) for k in filters(network.filter)]
            self._steps[side] = [(taps, [left, right, top, bottom]) for taps, (top, left, bottom, right) in ends]
        self._const = weights.conv(network.const[None])
        names = {layer.name: f"noise_{k}" for k, layer in enumerate(network.noisy)}
        self._layers = {
            layer.name: _Layer(self, layer, names.get(layer.name))
            for block in network.blocks
            for layer in (*block.convs, *([block.rgb] if block.rgb else []))
        }
        self._skips = {b.name: weights.conv(b.skip[:, :, None, None]) for b in network.blocks if b.skip is not None}

    def run(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The part."""
        if self._part == "mapping":
            return {"w": self._styles(inputs)}
        w = inputs["w"] if self._part == "synthesis" else self._truncated(self._styles(inputs), inputs)
        x, image = self._weights.ordered(self._const.expand(len(w), -1, -1, -1)), None
        for block in self._network.blocks:
            branch = None
            if block.skip is not None:
                branch = ops.upsample2d(f.conv2d(x, self._skips[block.name]), self._filter)
            for conv in block.convs:
                x = self._layers[conv.name](x, w, inputs)
            x = x if branch is None else x + branch
            if block.rgb is not None:
                colours = self._layers[block.rgb.name].colours(x, w)
                image = colours if image is None else ops.upsample2d(image, self._filter) + colours
        return {"image": image.contiguous()}

    def _styles(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """w [N, num_ws, w_dim]."""
        x = _normalised(inputs["z"])
        if self._embed:
            x = torch.cat((x, _normalised(self._embed(inputs["label"]))), 1)
        for layer in self._mapping:
            x = layer(x)
        return x[:, None].expand(-1, self._network.num_ws, -1).contiguous()

    def _truncated(self, w: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """In all rows; rosinality's networks ignore a psi above 1."""
        psi = inputs["truncation_psi"]
        psi = psi.clamp_max(1) if self._network.family == "rosinality" else psi
        return self._mean + psi * (w - self._mean)

    def enlarging(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A convolution to twice the size: ``weight`` transposed, then the filter over what it made."""
        x = f.conv_transpose2d(x, weight, stride=2)
        for taps, padding in self._steps[weight.shape[2]]:
            x = ops.upfirdn2d(x, taps, padding=padding)
        return self._weights.ordered(x)


class _Dense:
    """A linear layer with its activation, float32."""

    def __init__(self, weights: Weights, layer: Linear):
        self._weight, self._bias = weights.single(layer.weight), weights.single(layer.bias)
        self._how = {"act": layer.activation, "gain": layer.gain}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return ops.bias_act(f.linear(x, self._weight), self._bias, **self._how)


class _Layer:
    """A modulated convolution and what follows it."""

    def __init__(self, network: StyleGan2, layer: Modulated, plane: str | None):
        weights, self._network, self._layer, self._plane = network._weights, network, layer, plane
        self._style = _Dense(weights, layer.style)
        self._weight = ModulatedWeight(weights, layer.weight, layer.demodulate)
        self._bias, clamp = weights.single(layer.bias), layer.clamp
        if weights.dtype == torch.float16 and layer.demodulate:
            clamp = _REACH if clamp is None else min(clamp, _REACH)
        self._how = {"act": layer.activation, "gain": layer.gain, "clamp": clamp}
        self._const = None
        if plane is not None and network._noise == "const":
            self._const = weights.single(layer.noise_const * np.float32(layer.noise_strength))[None, None]

    def __call__(self, x: torch.Tensor, w: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        before, after = self._weight.factors(self._style(w[:, self._layer.row]))
        x = x * before.to(x.dtype)
        if self._layer.up:
            x = self._network.enlarging(x, self._weight.turned)
        else:
            x = f.conv2d(x, self._weight.unit, padding=self._weight.unit.shape[2] // 2)
        plane = self._noise(inputs)
        x = x * after.to(x.dtype) if plane is None else torch.addcmul(plane.to(x.dtype), x, after.to(x.dtype))
        return ops.bias_act(x, self._bias, **self._how)

    def _noise(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor | None:
        if self._plane is None or self._network._noise == "none":
            return None
        return self._const if self._const is not None else inputs[self._plane] * self._layer.noise_strength

    def colours(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """float32."""
        before, after = self._weight.factors(self._style(w[:, self._layer.row]))
        x = f.conv2d(x * before.to(x.dtype), self._weight.unit).float() * after
        return ops.bias_act(x, self._bias, **self._how)


def _normalised(x: torch.Tensor) -> torch.Tensor:
    """x / sqrt(mean of x^2 + 1e-8)."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + _LEAST)

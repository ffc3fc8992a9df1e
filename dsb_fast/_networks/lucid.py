"""stylegan2-pytorch's mapping network and generator, versions 1.5.10 to 1.9.0, as docs/graphs.md lists them."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as f

from .. import ops
from .layers import ModulatedWeight, Weights, bilinear
from .lucid_attention import Attention

_SLOPE = 0.2


class LucidNetwork:
    """``part`` "whole" (z, noise, truncation_psi to image), "mapping" (z to w) or "synthesis" (w, noise to image).

    ``mapping`` and ``generator`` are the tensors of S and G or of SE and GE, by their names without that prefix.
    """

    def __init__(self, part: str, mapping, generator, mean_style, lr_mlp: float, attention: str | None, device, dtype):
        weights = Weights(device, dtype)
        self._part, self._dtype = part, dtype
        self._mean = weights.single(np.reshape(mean_style, -1))
        layers = sorted({int(name.split(".")[1]) for name in mapping})
        parts = [[mapping[f"net.{layer}.{part}"] for part in ("weight", "bias")] for layer in layers]
        self._layers = [tuple(weights.single(np.float64(p) * lr_mlp) for p in pair) for pair in parts]
        wide = len({name.split(".")[1] for name in generator if name.startswith("blocks.")})
        self.image_size = 2 << wide
        if part == "mapping":
            return
        self._blocks = [_Block(weights, generator, index, index == wide - 1) for index in range(wide)]
        self._attentions = [Attention.of(weights, generator, index, attention) for index in range(wide)]
        self._start = _Start(weights, generator)

    def run(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The part."""
        if self._part == "mapping":
            return {"w": self._styles(inputs["z"])}
        if self._part == "synthesis":
            return {"image": self._image(inputs["w"], inputs["noise"])}
        w = self._mean + inputs["truncation_psi"] * (self._styles(inputs["z"]) - self._mean)
        return {"image": self._image(w[:, None].expand(-1, len(self._blocks), -1), inputs["noise"])}

    def _styles(self, z: torch.Tensor) -> torch.Tensor:
        w = f.normalize(z, dim=1)
        for weight, bias in self._layers:
            w = f.leaky_relu_(f.linear(w, weight, bias), _SLOPE)
        return w

    def _image(self, w: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        x, image, planes = self._start(w), None, noise.transpose(1, 2)[:, None].to(self._dtype)
        for index, (block, attention) in enumerate(zip(self._blocks, self._attentions, strict=True)):
            x = x if attention is None else attention(x)
            side = 4 << index
            x, image = block(x, image, w[:, index], planes[:, :, :side, :side])
        return image.contiguous()


class _Start:
    """The 4 x 4 map, learned or made of the mean style, after its plain convolution."""

    def __init__(self, weights: Weights, generator):
        matrix = generator.get("to_initial_block.weight")
        self._map = None if matrix is not None else weights.conv(generator["initial_block"])
        self._matrix = None if matrix is None else weights.single(matrix.reshape(len(matrix), -1))
        self._weight, self._ordered = weights.conv(generator["initial_conv.weight"]), weights.ordered
        self._bias = weights.single(generator["initial_conv.bias"]).to(weights.dtype)

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        x = self._map
        if x is None:  # a transposed convolution of a single point
            x = (w.mean(1) @ self._matrix).reshape(len(w), -1, 4, 4).to(self._weight.dtype)
        x = f.conv2d(x, self._weight, self._bias, padding=1)
        return self._ordered(x.expand(len(w), -1, -1, -1))


class _Block:
    """Two modulated layers and the colours of one size."""

    def __init__(self, weights: Weights, generator, index: int, last: bool):
        tensors = {name: generator[f"blocks.{index}.{name}"] for name in _NAMES}
        styles = ("to_style1", "to_style2", "to_rgb.to_style")
        self._sizes = [len(tensors[f"{name}.bias"]) for name in styles]
        self._style = weights.single(np.concatenate([tensors[f"{name}.weight"] for name in styles]))
        self._ones = weights.single(np.concatenate([tensors[f"{name}.bias"] for name in styles]) + np.float32(1))
        self._convs = [ModulatedWeight(weights, tensors[f"conv{k}.weight"], True) for k in "12"]
        self._rgb = ModulatedWeight(weights, tensors["to_rgb.conv.weight"], False)
        self._noises = [
            [weights.vector(tensors[f"to_noise{k}.{part}"].reshape(-1)) for part in ("weight", "bias")] for k in "12"
        ]
        self._up, self._last, self._taps = index > 0, last, weights.single(np.outer(_BLUR, _BLUR) / 16)

    def __call__(self, x, image, w, plane):
        """Activations and the image so far, enlarged for the next block."""
        *factors, colours = f.linear(w, self._style, self._ones).split(self._sizes, 1)
        for k, (conv, (gain, bias)) in enumerate(zip(self._convs, self._noises, strict=True)):
            before, after = conv.factors(factors[k])
            x = x * before.to(x.dtype)
            x = f.conv2d(bilinear(x) if self._up and not k else x, conv.unit, padding=1)
            x = torch.addcmul(torch.addcmul(bias, plane, gain), x, after.to(x.dtype))
            x = f.leaky_relu_(x, _SLOPE)
        before, after = self._rgb.factors(colours)
        colours = f.conv2d(x * before.to(x.dtype), self._rgb.unit).float() * after
        image = colours if image is None else colours + image
        return x, image if self._last else self._blurred(ops.upsample_bilinear2d(image))

    def _blurred(self, image: torch.Tensor) -> torch.Tensor:
        """As dsb_fast.ops.blur2d has it, whose taps come from the host, which a captured graph can't."""
        taps = self._taps.expand(image.shape[1], 1, 3, 3)
        return f.conv2d(f.pad(image, (1, 1, 1, 1), mode="reflect"), taps, groups=image.shape[1])


_BLUR = (1, 2, 1)
_NAMES = (
    *(f"{name}.{part}" for name in ("to_style1", "to_style2", "to_rgb.to_style", "to_noise1", "to_noise2")
      for part in ("weight", "bias")),
    "conv1.weight", "conv2.weight", "to_rgb.conv.weight",
)  # fmt: skip

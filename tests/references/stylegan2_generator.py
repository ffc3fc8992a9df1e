"""NVIDIA's and rosinality's StyleGAN2 generators in float64 numpy, from the descriptions of their files.

Step by step as the conventions of the golden files tell it: zeros between the samples, padding, filter, taps.
"""

from __future__ import annotations

import math

import numpy as np

from .stylegan_ops import bias_act, modulated_conv2d, upfirdn2d


def normalised(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)


def upsampled(image: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Twice the size; ``f`` [h, w], or [t] for both axes."""
    height, width = (f.shape[0], f.shape[-1]) if f.ndim == 2 else (len(f), len(f))
    padding = [(width + 1) // 2, (width - 2) // 2, (height + 1) // 2, (height - 2) // 2]
    return upfirdn2d(image, f, (2, 2), (1, 1), padding, False, 4)


class Nvlabs:
    """A network of :func:`dsb_fast.export.nvlabs.from_file`."""

    def __init__(self, network):
        self.network = network
        self.tensors = {name: value.astype(np.float64) for name, value in network.tensors.items()}

    def _linear(self, x, name: str, rate: float = 1.0, act: str = "linear"):
        weight = self.tensors[f"{name}.weight"]
        y = x @ (weight * rate / math.sqrt(weight.shape[1])).T
        return bias_act(y, self.tensors[f"{name}.bias"] * rate, 1, act, None, None, None)

    def mapping(self, z, label=None):
        """w of all rows, not truncated."""
        said, x = self.network.mapping, normalised(np.float64(z))
        if self.network.c_dim:
            x = np.concatenate([x, normalised(self._linear(np.float64(label), "mapping.embed"))], axis=1)
        for layer in range(said.num_layers):
            x = self._linear(x, f"mapping.fc{layer}", said.lr_multiplier, said.activation)
        return np.repeat(x[:, None], self.network.num_ws, axis=1)

    def synthesis(self, w, noise="const"):
        """``noise``: "const", "none" or the planes [N, 1, h, h] in forward order."""
        w, x, image, row = np.float64(w), None, None, 0
        planes = iter(noise) if isinstance(noise, list) else noise
        for side in (4 << k for k in range(self.network.num_ws // 2)):
            name, architecture = f"synthesis.b{side}", self.network.architecture
            f = self.tensors[f"{name}.resample_filter"]
            branch = None
            if side == 4:
                x = np.repeat(self.tensors[f"{name}.const"][None], len(w), axis=0)
            elif architecture == "resnet":
                weight = self.tensors[f"{name}.skip.weight"][:, :, 0, 0]
                branch = np.einsum("oi,nihw->nohw", weight / math.sqrt(weight.shape[1]), x)
                branch = upsampled(branch, f) * math.sqrt(0.5)
            if side > 4:
                x = self._layer(f"{name}.conv0", x, w[:, row], planes, 2, 1.0)
            x = self._layer(f"{name}.conv1", x, w[:, row + (side > 4)], planes, 1, 1.0 if branch is None else 0.5**0.5)
            x = x if branch is None else branch + x
            row += 1 + (side > 4)
            image = image if image is None else upsampled(image, f)
            if architecture == "skip" or side == self.network.resolution:
                colours = self._colours(f"{name}.torgb", x, w[:, row])
                image = colours if image is None else image + colours
        return image

    def _layer(self, name: str, x, w, noise, up: int, gain: float):
        said, tensors, plane = self.network.synthesis, self.tensors, 0.0
        if said.use_noise and not isinstance(noise, str):
            plane = next(noise) * tensors[f"{name}.noise_strength"]
        elif said.use_noise and noise == "const":
            plane = tensors[f"{name}.noise_const"] * tensors[f"{name}.noise_strength"]
        styles, f = self._linear(w, f"{name}.affine"), tensors[f"{name}.resample_filter"]
        x = modulated_conv2d(
            x, tensors[f"{name}.weight"], styles, plane, up, 1, [said.kernel_size // 2] * 4, f, True, up == 1
        )
        clamp = None if said.conv_clamp is None else said.conv_clamp * gain
        gain *= math.sqrt(2) if said.activation in ("relu", "lrelu", "swish") else 1
        return bias_act(x, tensors[f"{name}.bias"], 1, said.activation, None, gain, clamp)

    def _colours(self, name: str, x, w):
        weight = self.tensors[f"{name}.weight"]
        styles = self._linear(w, f"{name}.affine") / math.sqrt(weight.shape[1])
        x = modulated_conv2d(x, weight, styles, None, 1, 1, [0] * 4, None, False, True)
        return bias_act(x, self.tensors[f"{name}.bias"], 1, "linear", None, 1, self.network.synthesis.conv_clamp)


class Rosinality:
    """A network of :func:`dsb_fast.export.rosinality.from_file`."""

    def __init__(self, network):
        self.network = network
        self.tensors = {name: value.astype(np.float64) for name, value in network.tensors.items()}

    def mapping(self, z):
        """w, not truncated."""
        x = normalised(np.float64(z))
        for layer in range(1, self.network.n_mlp + 1):
            weight, bias = self.tensors[f"style.{layer}.weight"] * 0.01, self.tensors[f"style.{layer}.bias"] * 0.01
            x = bias_act(x @ weight.T / math.sqrt(weight.shape[1]), bias, 1, "lrelu", None, None, None)
        return x

    def synthesis(self, w):
        """``w`` [N, rows, w_dim]; the stored noise."""
        w = np.float64(w)
        x = np.repeat(self.tensors["input.input"], len(w), axis=0)
        x = self._layer("conv1", x, w[:, 0], 0, None)
        image = self._colours("to_rgb1", x, w[:, 1])
        for block in range(len(self.network.channels) - 1):
            name = f"convs.{2 * block}"
            x = self._layer(name, x, w[:, 2 * block + 1], 2 * block + 1, self.tensors[f"{name}.conv.blur.kernel"])
            x = self._layer(f"convs.{2 * block + 1}", x, w[:, 2 * block + 2], 2 * block + 2, None)
            image = upsampled(image, self.tensors[f"to_rgbs.{block}.upsample.kernel"] / 4)
            image = image + self._colours(f"to_rgbs.{block}", x, w[:, 2 * block + 3])
        return image

    def _modulated(self, name: str, x, w, demodulate: bool, kernel=None):
        weight = self.tensors[f"{name}.conv.weight"][0]
        weight = weight / math.sqrt(weight[0].size)
        style = self.tensors[f"{name}.conv.modulation.weight"]
        styles = w @ style.T / math.sqrt(style.shape[1]) + self.tensors[f"{name}.conv.modulation.bias"]
        side = weight.shape[2]
        if kernel is None:
            return modulated_conv2d(x, weight, styles, None, 1, 1, [side // 2] * 4, None, demodulate, True)
        # A transposed convolution of stride 2 is one of the image with zeros between its samples, and two around it.
        size, taps = x.shape[2], len(kernel)
        between = upfirdn2d(x, None, (2, 2), (1, 1), [2, 1, 2, 1], False, 1)
        x = modulated_conv2d(between, weight, styles, None, 1, 1, [0] * 4, None, demodulate, False)
        assert x.shape[2] == 2 * size + 1
        before, after = (taps - 3) // 2 + 1, (taps - 4) // 2 + 1
        return upfirdn2d(x, kernel, (1, 1), (1, 1), [before, after, before, after], False, 1)

    def _layer(self, name: str, x, w, plane: int, kernel):
        x = self._modulated(name, x, w, True, kernel)
        x = x + self.tensors[f"{name}.noise.weight"] * self.tensors[f"noises.noise_{plane}"]
        return bias_act(x, self.tensors[f"{name}.activate.bias"], 1, "lrelu", None, None, None)

    def _colours(self, name: str, x, w):
        return self._modulated(name, x, w, False) + self.tensors[f"{name}.bias"]

"""The ECG network in eager torch, operator for operator as package deepfake-ecg 1.1.2 runs it: upsample, pad, convolve.

It is rebuilt from the weights so that it also runs where the package (which imports pandas) can't be installed.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as f
from dsb_fast.export.pulse2pulse import DECODER, ENCODER, LEAKY_SLOPE, PADDING, Pulse2Pulse


class PublishedNetwork:
    """The float32 network on ``device``."""

    def __init__(self, network: Pulse2Pulse, device: str = "cpu"):
        self.device = torch.device(device)
        self._layers = {
            name: (torch.tensor(layer.weight).to(self.device), torch.tensor(layer.bias).to(self.device))
            for name, layer in network.layers.items()
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Signal [N, leads, time] of noise [N, leads, time]."""
        encoded = {}
        for name, stride in ENCODER:
            x = encoded[name] = f.leaky_relu(
                f.conv1d(x, *self._layers[name], stride=stride, padding=PADDING), LEAKY_SLOPE
            )
        for name, repetition, joined in DECODER:
            if joined:
                x = torch.cat((x, encoded[joined]), 1)
            x = f.pad(f.interpolate(x, scale_factor=repetition, mode="nearest"), (PADDING, PADDING))
            x = f.conv1d(x, *self._layers[name])
            x = torch.tanh(x) if name == "deconv_7" else torch.relu(x)
        return x

    def signal(self, noise: np.ndarray) -> np.ndarray:
        """The same for numpy arrays."""
        with torch.inference_mode():
            return self.forward(torch.from_numpy(noise).to(self.device)).cpu().numpy()

    def generate(self, count: int, batch: int, inference_mode: bool = True) -> int:
        """Make ``count`` ECGs as the package does: noise drawn on the CPU, cut to integers, copied back."""
        values = 0
        with torch.inference_mode(inference_mode):
            for _ in range(0, count, batch):
                noise = torch.empty(batch, 8, 5000).uniform_(-1, 1).to(self.device)
                values += (self.forward(noise) * 6000).int().detach().cpu().numpy().size
        return values

"""The ECG network: every repetition with its 25 taps as one polyphase convolution, signals [N, 1, time, channels]."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as f

from ..export.pulse2pulse import DECODER, ENCODER, LEAKY_SLOPE, PADDING, TAPS, Pulse2Pulse
from .layers import Weights


def phases(weight: np.ndarray, repetition: int) -> tuple[int, np.ndarray]:
    """The first input point that an output reads, and the taps of all phases from there on, [repetition * out, in, w].

    Taps that meet the same input point are added in their order, in float64. Phases that read fewer points than others
    have zeros there: one convolution with whole rows of channels instead of several whose results are to be joined.
    """
    first, last = -PADDING // repetition, (repetition - 1 + TAPS - 1 - PADDING) // repetition
    taps = np.zeros((repetition, *weight.shape[:2], last - first + 1))
    for phase in range(repetition):
        for tap in range(TAPS):
            taps[phase, :, :, (phase + tap - PADDING) // repetition - first] += weight[:, :, tap]
    return first, taps.reshape(-1, weight.shape[1], taps.shape[3])


class Pulse2PulseNetwork:
    """``noise`` float32 [N, leads, time] to ``signal`` of the same shape, for any time that the network takes."""

    image_size = None

    def __init__(self, network: Pulse2Pulse, device, dtype):
        self._weights = weights = Weights(device, dtype)
        self._down, self._up = {}, {}
        for name, _ in ENCODER:
            layer = network.layers[name]
            self._down[name] = weights.conv(layer.weight[:, :, None]), weights.single(layer.bias).to(dtype)
        for name, repetition, _ in DECODER:
            layer = network.layers[name]
            first, taps = phases(layer.weight, repetition)
            bias = weights.single(np.tile(layer.bias, repetition)).to(dtype)
            self._up[name] = weights.conv(taps[:, :, None]), bias, -first

    def run(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The whole network."""
        x, encoded = self._weights.ordered(inputs["noise"][:, :, None].to(self._weights.dtype)), {}
        for name, stride in ENCODER:
            x = f.conv2d(x, *self._down[name], stride=(1, stride), padding=(0, PADDING))
            x = encoded[name] = f.leaky_relu_(x, LEAKY_SLOPE)
        for name, repetition, joined in DECODER:
            x = torch.cat((x, encoded[joined]), 1) if joined else x
            weight, bias, before = self._up[name]
            x = f.conv2d(x, weight, bias, padding=(0, before))  # 7 taps of 5 phases and 13 of 2 reach as far both ways
            x = torch.tanh(x.float()) if name == "deconv_7" else x.relu_()
            x = _interleaved(x, repetition)
        return {"signal": x[:, :, 0].contiguous()}


def _interleaved(x: torch.Tensor, repetition: int) -> torch.Tensor:
    """[N, repetition * C, 1, L] to [N, C, 1, L * repetition]: with channels last the same memory."""
    count, channels, _, length = x.shape
    x = x.permute(0, 2, 3, 1).reshape(count, 1, length * repetition, channels // repetition)
    return x.permute(0, 3, 1, 2)

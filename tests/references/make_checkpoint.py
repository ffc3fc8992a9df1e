"""Random Pulse2Pulse checkpoints in every layout, written by torch itself."""

from __future__ import annotations

import collections

import torch


def shapes(model_size: int, leads: int = 8) -> dict[str, tuple[int, ...]]:
    """Names and shapes as package ecgen 1.1.0 spells them, without the tensors that no forward pass reads."""
    d = model_size
    widths = {
        "conv_1": (d // 5, leads), "conv_2": (d // 2, d // 5), "conv_3": (d, d // 2), "conv_4": (3 * d, d),
        "conv_5": (5 * d, 3 * d), "conv_6": (5 * d, 5 * d), "deconv_1.conv1d": (5 * d, 5 * d),
        "deconv_2.conv1d": (3 * d, 10 * d), "deconv_3.conv1d": (d, 6 * d), "deconv_5.conv1d": (d // 2, 2 * d),
        "deconv_6.conv1d": (d // 5, 2 * (d // 2)), "deconv_7.conv1d": (leads, d // 5),
    }  # fmt: skip
    out = {}
    for name, (rows, columns) in widths.items():
        out[f"{name}.weight"], out[f"{name}.bias"] = (rows, columns, 25), (rows,)
    return out


def state_dict(model_size: int = 6, leads: int = 8, seed: int = 0) -> collections.OrderedDict:
    """Random weights of a size that keeps every layer alive."""
    generator = torch.Generator().manual_seed(seed)
    state = collections.OrderedDict()
    for name, shape in shapes(model_size, leads).items():
        fan_in = shape[1] * 25 if len(shape) == 3 else 4
        state[name] = torch.randn(shape, generator=generator) / fan_in**0.5
    return state

"""The ECG network as published, in torch: what every graph is checked against. Slow and plain on purpose."""

from __future__ import annotations

import numpy as np

from dsb_fast._errors import MissingDependencyError

from .pulse2pulse import DECODER, ENCODER, LEAKY_SLOPE, PADDING, Pulse2Pulse


def signal(network: Pulse2Pulse, noise: np.ndarray) -> np.ndarray:
    """Signal float64 [N, leads, length] of noise [N, leads, length], computed in float64.

    Follows package deepfake-ecg 1.1.2: nearest-neighbour repetition, zero padding, 25 taps; encoder outputs are joined
    in before the repetition. Raises MissingDependencyError without torch.
    """
    try:
        import torch
        import torch.nn.functional as f
    except ImportError:
        raise MissingDependencyError("the reference network needs torch; pip install 'dsb-fast[torch]'") from None

    def parameters(name):
        layer = network.layers[name]
        return torch.from_numpy(layer.weight).double(), torch.from_numpy(layer.bias).double()

    with torch.inference_mode():
        x, encoded = torch.from_numpy(np.ascontiguousarray(noise)).double(), {}
        for name, stride in ENCODER:
            x = f.leaky_relu(f.conv1d(x, *parameters(name), stride=stride, padding=PADDING), LEAKY_SLOPE)
            encoded[name] = x
        for name, repetition, joined in DECODER:
            if joined:
                x = torch.cat((x, encoded[joined]), 1)
            x = torch.repeat_interleave(x, repetition, dim=2)
            x = f.conv1d(x, *parameters(name), padding=PADDING)
            x = torch.tanh(x) if name == "deconv_7" else torch.relu(x)
    return x.numpy()

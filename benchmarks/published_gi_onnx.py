"""The GI-tract network as published, as ONNX: what torch.onnx.export makes of the original's own operations."""

from __future__ import annotations

import io
import warnings

import torch

_OPSET = 17


class _Network(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self._network = network

    def forward(self, z, noise, psi):
        return self._network.forward(z, noise[..., None], psi)


def build(network, batch: int) -> bytes:
    """A model of inputs z [batch, D], noise [batch, S, S] and truncation_psi: weights modulated for every sample."""
    size = network.image_size
    inputs = (torch.zeros(batch, network.latent_dim), torch.zeros(batch, size, size), torch.tensor(0.5))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without onnxscript is called old
        torch.onnx.export(
            _Network(network).eval(), inputs, file, opset_version=_OPSET, dynamo=False,
            input_names=["z", "noise", "truncation_psi"], output_names=["image"],
        )  # fmt: skip
    return file.getvalue()

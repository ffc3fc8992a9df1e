"""The networks as functions of torch tensors, made of the descriptions that the exporters build graphs of.

Activations are channels-last, and of the precision that is asked for; mapping, styles, demodulation and the image so
far are float32. This package is imported by the torch backend alone: it needs torch.
"""

from __future__ import annotations

from .lucid import LucidNetwork
from .pulse2pulse import Pulse2PulseNetwork
from .stylegan2 import StyleGan2

FAMILIES = {"pulse2pulse": Pulse2PulseNetwork, "lucid": LucidNetwork, "stylegan2": StyleGan2}


def network(description, device, dtype):
    """What :class:`dsb_fast._models.description.Description` describes, its weights on ``device`` in ``dtype``."""
    return FAMILIES[description.family](device=device, dtype=dtype, **description.settings)

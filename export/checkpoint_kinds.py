"""What a checkpoint looks like that the reader who was asked does not know."""

from __future__ import annotations

from typing import Any

from .float_arrays import shown
from .torch_file import Tensor

SUPPORTED = (
    "checkpoints of stylegan2-pytorch (lucidrains), NVIDIA's stylegan2-ada-pytorch and stylegan3 repository "
    "(StyleGAN2), rosinality's stylegan2-pytorch and Pulse2Pulse are read"
)
# By a name in it.
_KINDS = {
    "GAN": "a model of stylegan2-pytorch (lucidrains)",
    "g_ema": "a StyleGAN2 of rosinality/stylegan2-pytorch",
    "G_ema": "a network of NVIDIA's StyleGAN repositories",
    "netG_state_dict": "a Pulse2Pulse generator",
    "stat_dict": "a Pulse2Pulse generator",
    "conv_1.weight": "a Pulse2Pulse generator",
    "S.net.0.weight": "the state dict of a stylegan2-pytorch alone; save it as {'GAN': state_dict, 'version': '...'}",
    "synthesis.b4.const": "the state dict of an NVIDIA StyleGAN2 alone; give the network .pkl",
    "convs.0.conv.weight": "the state dict of a rosinality StyleGAN2 alone; save it as {'g_ema': state_dict}",
}


def describe(tree: Any) -> str:
    """What an object tree looks like, and what is supported."""
    return f"{_look(tree)}; {SUPPORTED}"


def _look(tree: Any) -> str:
    if isinstance(tree, Tensor):
        return "it holds one tensor"
    if not isinstance(tree, dict):
        return f"it holds {shown(tree)}"
    inside = tree.get("state_dict")
    for name, kind in _KINDS.items():
        if name in tree or (isinstance(inside, dict) and name in inside):
            return f"it looks like {kind}"
    return f"it has {', '.join(map(shown, list(tree)[:4])) or 'nothing'}"

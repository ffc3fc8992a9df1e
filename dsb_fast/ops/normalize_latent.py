"""What the mapping networks do to latents first."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments

KINDS = ("l2", "rms")


def reference(z, kind):
    """The same in torch."""
    if kind == "l2":
        return z / z.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def normalize_latent(z, kind, *, impl="auto"):
    """Latents brought to a common length.

    ``kind`` "l2" is ``z / max(|z|, 1e-12)`` (stylegan2-pytorch; torch's normalize), "rms" is
    ``z / sqrt(mean(z^2) + 1e-8)`` (StyleGAN2-ADA's normalize_2nd_moment).

    ``z``: float ``[N, features]``. Returns that shape. Raises InputError for another one or another kind.

    >>> import numpy as np
    >>> normalize_latent(np.array([[3.0, 4.0]], np.float32), "l2").round(3).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    op = "normalize_latent"
    if kind not in KINDS:
        raise InputError(f"{op}: kind '{kind}' is not known; there are {', '.join(KINDS)}")
    if len(shape := arguments.shape_of(z)) != 2:
        raise InputError(f"{op}: z is {shape}, needs [N, features]")
    if arguments.choose(op, impl, z, name="z") == "native":
        return arguments.like(_kernels.native.normalize_latent(arguments.as_array(op, "z", z), kind), z)
    return arguments.like(reference(arguments.main_tensor(op, z, name="z"), kind), z)

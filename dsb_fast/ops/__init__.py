"""The operators of StyleGAN2 generators, on numpy arrays and torch tensors: the same kind out as in.

Names, defaults and semantics are those of NVIDIA's StyleGAN2-ADA. ``impl="native"`` is the compiled kernel (float32 and
bfloat16 on the CPU), ``"torch"`` a readable reference in pure torch on any device and in any floating type, ``"auto"``
native where it applies. bfloat16, of torch or of ml_dtypes, comes out where x is bfloat16 and nowhere else; sums are
float32. Gradients are out of scope: results are detached.
"""

from .._library import library_path
from .bias_act import bias_act
from .modulated_conv2d import modulated_conv2d
from .setup_filter import setup_filter
from .upfirdn2d import downsample2d, filter2d, upfirdn2d, upsample2d

__all__ = [
    "bias_act",
    "downsample2d",
    "filter2d",
    "library_path",
    "modulated_conv2d",
    "setup_filter",
    "upfirdn2d",
    "upsample2d",
]

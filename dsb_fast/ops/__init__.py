"""The operators of StyleGAN2 generators, on numpy arrays and torch tensors: the same kind out as in.

Names, defaults and semantics are those of NVIDIA's StyleGAN2-ADA where that has the operator; the others are what
stylegan2-pytorch, the GI-tract model's program, and the ECG model need. ``impl="native"`` is the compiled kernel
(float32 on the CPU; the operators of StyleGAN2-ADA in bfloat16 too), ``"torch"`` a readable reference in pure torch on
any device and in any floating type, ``"auto"`` native where it applies. bfloat16, of torch or of ml_dtypes, comes out
where x is bfloat16 and nowhere else; sums are float32. Of arrays on a CUDA device, torch's or others that offer DLPack,
native is the CUDA kernels (docs/operators.md, "On a GPU"). Gradients are out of scope: results are detached.
"""

from .._library import library_path
from .attention import attention
from .bias_act import bias_act
from .blur2d import blur2d
from .channel_norm import channel_norm, instance_norm
from .conv1x1 import conv1x1
from .dense import dense
from .depthwise_conv2d import depthwise_conv2d
from .feed_forward import feed_forward
from .linear_attention import linear_attention
from .modulated_conv2d import modulated_conv2d
from .normalize_latent import normalize_latent
from .packed_weight import PackedWeight
from .setup_filter import setup_filter
from .to_microvolt import to_microvolt
from .to_uint8 import to_uint8
from .upfirdn2d import downsample2d, filter2d, upfirdn2d, upsample2d
from .upsample_bilinear2d import upsample_bilinear2d

__all__ = [
    "PackedWeight",
    "attention",
    "bias_act",
    "blur2d",
    "channel_norm",
    "conv1x1",
    "dense",
    "depthwise_conv2d",
    "downsample2d",
    "feed_forward",
    "filter2d",
    "instance_norm",
    "library_path",
    "linear_attention",
    "modulated_conv2d",
    "normalize_latent",
    "setup_filter",
    "to_microvolt",
    "to_uint8",
    "upfirdn2d",
    "upsample2d",
    "upsample_bilinear2d",
]

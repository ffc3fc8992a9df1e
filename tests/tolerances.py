"""Every tolerance of the suite, with its reason."""

# The reference's own float32 run differs from its float64 run by 2.6e-5 (golden ecg.json); the issue asks for 1e-4.
ECG_SIGNAL = 1e-4
# Over samples 0 to 999 of seed 0, against float64.
ECG_POOLED_RMS = 2e-6
# The compiled network over 32 samples: direct layers, and the plan with Toom-Cook layers (docs/kernels.md).
ECG_RMS = {"direct": 1.5e-6, "": 2e-6}
ECG_LARGEST = {"direct": 1.5e-4, "": 3e-4}  # the worst of some million values; the golden samples keep ECG_SIGNAL
ECG_EQUAL_SHARE = 0.995
ECG_MORE_THAN_ONE_APART = 1e-6
# float64 Box-Muller by another library: one last place of float32 where the rounding falls the other way.
NORMAL_ULP = 1
# StyleGAN2 operators, of the largest value: the golden files' own bound. float32 sums of up to 4608 products stay
# below.
OPS = 1e-5
# stylegan2-pytorch's generator, of the largest value: the package's own float32 run differs from float64 by up to
# 6.3e-7 (golden files) and 20 times that is fair; measured 1.0e-6.
LUCID_IMAGE = 1e-5
# NVIDIA's and rosinality's generators, of the largest value; their own float32 runs differ by up to 1.0e-6, ours by
# 1.2e-6.
STYLEGAN2_IMAGE = 2e-5
# The same in float16, whose numbers have 11 significant bits; measured up to 1.4e-3 on the golden networks.
STYLEGAN2_HALF = 5e-3
# One-dimensional layers, of the largest value that the sums could take: sum |weight| * max |x| + max |bias|. Toom-Cook
# transforms cancel, which costs the more the larger the points.
CONV1D = {"direct": 3e-7, "toom4x5": 3e-6, "toom6x5": 5e-6, "toom12x13": 3e-6}
# Image convolutions, likewise: of sum |weight| * max |x * style|. Seen over 40,000 random layers: 1.0e-7,
# 1.6e-7, 6.7e-7. Phases, of up-sampling layers, times (2 * sum |filter|)^2: 3.2e-8.
IMAGE_CONV = {"direct": 3e-7, "winograd2": 5e-7, "winograd4": 2e-6, "phases": 1.5e-7}
# Relative L2 of a layer; with 512 input channels 8.0e-7, 2.2e-6 and 5.4e-7. A network may have 2e-5.
IMAGE_CONV_L2 = {"winograd2": 1.5e-6, "winograd4": 3.5e-6, "phases": 1e-6}
# The same with bfloat16 products at the points; relative L2 measured 4.2e-3 and 1.2e-2, 48 to 512 channels.
IMAGE_CONV_BF16 = {"winograd2": 2e-2, "winograd4": 6e-2}
IMAGE_CONV_BF16_L2 = {"winograd2": 6e-3, "winograd4": 2e-2}
# One rounding to bfloat16, relative: half of the last of its eight significant bits.
BF16_ROUNDING = 2.0**-8
# A layer in bfloat16, of the largest value, as the issue asks. Measured up to 5.2e-3 on the golden cases, 3.9e-3 on
# layers of the image networks and 3.0e-3 on those of the ECG network.
BF16_LAYER = 1e-2
# Relative L2 of an attention of the image network, normal inputs; measured 4e-7.
ATTENTION_L2 = 2e-6
# The same with bfloat16 products; measured 4e-5.
ATTENTION_BF16_L2 = 1e-4
# Of the largest value that the sums could take.
ATTENTION_BF16 = 2e-2
FEED_FORWARD_BF16 = 1e-2
# The GPU's operators sum in float32 and round once, to how a tensor is stored: half of its last bit, float32's error.
GPU_STORED = {"float32": OPS, "float16": 2.0**-11 + OPS, "bfloat16": BF16_ROUNDING + OPS}
# A layer of the GPU, of the largest value that the sums could take: styled inputs, folded weights and the result are
# rounded to how a tensor is stored. Measured over 1500 random layers: 2.2e-7, 9.0e-4, 6.1e-3.
GPU_LAYER = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 1.5e-2}

"""Every tolerance of the suite, with its reason."""

# The reference's own float32 run differs from its float64 run by 2.6e-5 (golden ecg.json); the issue asks for 1e-4.
ECG_SIGNAL = 1e-4
# Over samples 0 to 999 of seed 0, against float64.
ECG_POOLED_RMS = 2e-6
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

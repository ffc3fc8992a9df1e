// What comes before and after the networks: latents normalised, styles truncated, images made grey levels.
#pragma once

#include "core/threads.h"
#include "ops/tensor.h"

namespace dsb {

enum class LatentNorm {
  l2,   // z / max(|z|, 1e-12)
  rms,  // z / sqrt(mean(z^2) + 1e-8)
};

// z and out are [count, length]; sums in float64, so that every variant gives the same bits. out may be z.
void normalize_latent(const float* z, int64_t count, int64_t length, LatentNorm norm, float* out);

// out = mean + psi * (w - mean), each step rounded: w drawn towards the mean style. w and out are [count, length], mean
// is [length]. out may be w.
void truncate_styles(const float* w, int64_t count, int64_t length, const float* mean, float psi, float* out);

// Of each [rows, length] of x: the mean of its rows, added one after the other in float32. At least one row; out is
// [count, length].
void mean_rows(const float* x, int64_t count, int64_t rows, int64_t length, float* out);

// x is [N, C, H, W], out [N, H, W, C]: x * scale + offset held to 0..255 and cut down, product and sum each rounded.
// False if any of them is not a number; out is then not defined.
bool grey_levels(const float* x, const Shape4& shape, float scale, float offset, const Threads& threads, uint8_t* out);

}  // namespace dsb

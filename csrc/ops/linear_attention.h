// Attention whose cost grows with the number of positions, not with its square (Shen et al., "Efficient attention",
// WACV 2021, section 3.2), as stylegan2-pytorch uses it.
#pragma once

#include "core/threads.h"
#include "ops/tensor.h"

namespace dsb {

struct LinearAttention {
  int64_t heads;
  float q_scale = 1.0f, k_scale = 1.0f, out_scale = 1.0f;
};

// Shape of the result: that of v. Throws std::invalid_argument, naming what does not fit.
Shape4 linear_attention_shape(const Shape4& q, const Shape4& k, const Shape4& v, const LinearAttention& attention);

// q and k are [N, heads * d, H, W], v and out [N, heads * e, H, W].
void linear_attention(const float* q, const float* k, const float* v, const Shape4& q_shape, const Shape4& v_shape,
                      const LinearAttention& attention, const Threads& threads, float* out);

}  // namespace dsb

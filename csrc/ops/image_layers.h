// Layers of stylegan2-pytorch that work on one plane, or on one position, at a time.
#pragma once

#include "core/threads.h"
#include "ops/tensor.h"

namespace dsb {

// out is [N, C, 2 H, 2 W]: bilinear, corners not aligned, edges clamped.
void upsample_bilinear2d(const float* x, const Shape4& shape, const Threads& threads, float* out);

// [1, 2, 1] x [1, 2, 1] / 16 with reflected edges; out has x's shape and may not be x.
void blur2d(const float* x, const Shape4& shape, const Threads& threads, float* out);

// Zero mean and unit population variance over the channels of every position, then gain and bias, [C] each. eps is
// added to the variance, or, `eps_to_deviation`, to its root.
void channel_norm(const float* x, const Shape4& shape, const float* gain, const float* bias, float eps,
                  bool eps_to_deviation, const Threads& threads, float* out);

// The same over the positions of every channel, eps added to the variance.
void instance_norm(const float* x, const Shape4& shape, const float* gain, const float* bias, float eps,
                   const Threads& threads, float* out);

struct DepthwiseConv {
  int64_t height, width;  // of the kernel
  int64_t padding;        // zeros on every side
};

// Shape of the result. Throws std::invalid_argument if there would be none.
Shape4 depthwise_conv2d_shape(const Shape4& x, const DepthwiseConv& conv);

// A correlation a channel; weight is [C, height, width].
void depthwise_conv2d(const float* x, const Shape4& shape, const float* weight, const DepthwiseConv& conv,
                      const Threads& threads, float* out);

// The top left corner of each map, row and column swapped: what stylegan2-pytorch adds as noise to an image of that
// size. x is [count, height, width], both at least `size`; out is [count, size, size].
void noise_planes(const float* x, int64_t count, int64_t height, int64_t width, int64_t size, const Threads& threads,
                  float* out);

}  // namespace dsb

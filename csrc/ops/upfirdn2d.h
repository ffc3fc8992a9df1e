// Zero insertion, padding, FIR filter, decimation: NVIDIA StyleGAN2-ADA's upfirdn2d.
#pragma once

#include <vector>

#include "core/threads.h"
#include "ops/tensor.h"

namespace dsb {

// A filter of [height, width] taps; a separable one is applied as two calls.
struct Filter {
  const float* taps;
  int64_t height, width;
};

struct Resampling {
  int64_t up_x = 1, up_y = 1, down_x = 1, down_y = 1;
  int64_t left = 0, right = 0, top = 0, bottom = 0;  // counted on the enlarged image; negative crops
  bool flip_filter = false;                          // false: a true convolution
  float gain = 1.0f;
};

// Shape of the result. Throws std::invalid_argument if there would be none.
Shape4 upfirdn2d_shape(const Shape4& in, const Filter& filter, const Resampling& how);

// out has upfirdn2d_shape(...).
void upfirdn2d(const float* x, const Shape4& in, const Filter& filter, const Resampling& how, const Threads& threads,
               float* out);

}  // namespace dsb

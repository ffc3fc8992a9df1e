// Zero insertion, padding, FIR filter, decimation: NVIDIA StyleGAN2-ADA's upfirdn2d.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "core/threads.h"
#include "kernels/kernels.h"
#include "ops/tensor.h"

namespace dsb {

// A filter of [height, width] taps; a separable one is applied as two calls.
struct Filter {
  const float* taps;
  int64_t height, width;
};

// The taps along both axes where there are kFilterTaps of them each: of a row and a column, or of a full filter that is
// their product to the last bit, as [1, 3, 3, 1] with itself is.
struct AxisTaps {
  float x[kFilterTaps], y[kFilterTaps];
};
std::optional<AxisTaps> axis_taps(const std::vector<Filter>& filters);

struct Resampling {
  int64_t up_x = 1, up_y = 1, down_x = 1, down_y = 1;
  int64_t left = 0, right = 0, top = 0, bottom = 0;  // counted on the enlarged image; negative crops
  bool flip_filter = false;                          // false: a true convolution
  float gain = 1.0f;
};

// Shape of the result. Throws std::invalid_argument if there would be none.
Shape4 upfirdn2d_shape(const Shape4& in, const Filter& filter, const Resampling& how);

// out has upfirdn2d_shape(...). A filter with axis_taps, at twice, half or the same size, is applied along x, then
// along y, each a sum of ascending taps; any other by rows.
void upfirdn2d(const float* x, const Shape4& in, const Filter& filter, const Resampling& how, const Threads& threads,
               float* out);

// Calls that are made one after the other.
using FilterSteps = std::vector<std::pair<Filter, Resampling>>;

// No filter is a single tap of 1. A separable filter is given as row (1 x t) and column (t x 1): rows are done first,
// and the gain counts once.
FilterSteps filter_steps(const std::vector<Filter>& filters, const Resampling& how);

// Values of the largest tensor on the way from `in`; it and the result's shape throw like upfirdn2d_shape.
int64_t largest_size(const Shape4& in, const FilterSteps& steps);
Shape4 upfirdn2d_shape(Shape4 in, const FilterSteps& steps);

// At least one step; out has upfirdn2d_shape(...).
void upfirdn2d(const float* x, Shape4 in, const FilterSteps& steps, const Threads& threads, float* out);

}  // namespace dsb

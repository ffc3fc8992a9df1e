// What the GPU makes of upfirdn2d's steps: taps in the order of a correlation, a full filter taken apart where it is
// the product of its axes. Travels to the device with the launch.
#pragma once

#include <cstdint>

#include "cuda/kernels.h"

namespace dsb {
namespace cuda {

struct FilterPlan {
  int64_t height, width;  // of the result
  int32_t up_x, up_y, down_x, down_y, top, left;
  int32_t taps_x, taps_y;
  bool separable;
  float gain;
  float taps[kMaxTaps];  // [taps_y, taps_x]; separable: taps_x along x, then taps_y along y
};

// Throws std::invalid_argument as upfirdn2d_shape does, or for more taps than kMaxTaps.
FilterPlan plan_filter(const Image& in, const FilterSteps& steps);

}  // namespace cuda
}  // namespace dsb

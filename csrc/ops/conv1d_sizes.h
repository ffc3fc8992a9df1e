// Whole-number arithmetic that the one-dimensional layers share.
#pragma once

#include "ops/dispatch.h"

namespace dsb {

inline int64_t floor_divide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
inline int64_t ceil_divide(int64_t a, int64_t b) { return -floor_divide(-a, b); }
inline int64_t padded(int64_t channels) { return ceil_divide(channels, kChannelBlock) * kChannelBlock; }

inline int64_t lanes() { return static_cast<int64_t>(kernels().lanes); }

}  // namespace dsb

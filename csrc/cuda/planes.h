// Images as upfirdn2d's kernels see them: [outer, height, width, inner], which both layouts are.
#pragma once

#include "cuda/filter_plan.h"
#include "cuda/host_device.h"

namespace dsb {
namespace cuda {

struct Planes {
  uint32_t inner;  // vectors
  int32_t in_h, in_w, out_h, out_w;
};

// `v`: channels of a vector.
inline Planes planes_of(const Image& in, const FilterPlan& plan, int v) {
  return {static_cast<uint32_t>(in.channels_first ? 1 : in.c / v), static_cast<int32_t>(in.h),
          static_cast<int32_t>(in.w), static_cast<int32_t>(plan.height), static_cast<int32_t>(plan.width)};
}

// Images with their channels, or planes.
inline uint64_t outers(const Image& in) { return static_cast<uint64_t>(in.channels_first ? in.n * in.c : in.n); }

// The first tap that meets a value and that value's position, for the result at `at`.
DSB_HD void meet(int32_t at, int32_t down, int32_t before, int32_t up, int32_t* tap, int32_t* position) {
  const int32_t enlarged = at * down - before;
  int32_t over = enlarged % up;
  if (over < 0) over += up;
  *tap = over ? up - over : 0;
  *position = (enlarged + *tap) / up;
}

// A separable filter by tiles in shared memory; `wide`: 16 bytes of channels can be had at a time. False, and nothing
// done, for other filters and for such long ones that a tile has no room.
bool upfirdn2d_tiles(const Image& in, const FilterPlan& plan, Type type, bool wide, const void* x, Stream stream,
                     void* y);

}  // namespace cuda
}  // namespace dsb

#include "ops/upfirdn2d.h"

#include <algorithm>
#include <stdexcept>

#include "ops/dispatch.h"

namespace dsb {

Shape4 upfirdn2d_shape(const Shape4& in, const Filter& filter, const Resampling& how) {
  if (how.up_x < 1 || how.up_y < 1 || how.down_x < 1 || how.down_y < 1)
    throw std::invalid_argument("upfirdn2d: up and down must be at least 1");
  if (filter.height < 1 || filter.width < 1) throw std::invalid_argument("upfirdn2d: the filter has no taps");
  const int64_t height = in.h * how.up_y + how.top + how.bottom - filter.height;
  const int64_t width = in.w * how.up_x + how.left + how.right - filter.width;
  if (height < 0 || width < 0)
    throw std::invalid_argument("upfirdn2d: x is " + text(in) + ", too small for its padding and a filter of " +
                                std::to_string(filter.height) + " x " + std::to_string(filter.width) + " taps");
  return {in.n, in.c, height / how.down_y + 1, width / how.down_x + 1};
}

void upfirdn2d(const float* x, const Shape4& in, const Filter& filter, const Resampling& how, const Threads& threads,
               float* out) {
  const Shape4 shape = upfirdn2d_shape(in, filter, how);
  std::vector<float> taps(filter.taps, filter.taps + filter.height * filter.width);
  if (!how.flip_filter) std::reverse(taps.begin(), taps.end());
  const UpfirdnPlane plane = {in.h,       in.w,       shape.h, shape.w,  how.up_y,      how.up_x,
                              how.down_y, how.down_x, how.top, how.left, filter.height, filter.width};
  const Kernels& k = kernels();
  parallel_for(static_cast<uint64_t>(in.n * in.c), threads, [&](uint64_t task) {
    k.upfirdn2d(plane, x + task * in.h * in.w, taps.data(), how.gain, out + task * shape.h * shape.w);
  });
}

}  // namespace dsb

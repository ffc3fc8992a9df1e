#include "ops/upfirdn2d.h"

#include <algorithm>
#include <stdexcept>

#include "ops/dispatch.h"

namespace dsb {
namespace {

const float kOne = 1.0f;

}  // namespace

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

FilterSteps filter_steps(const std::vector<Filter>& filters, const Resampling& how) {
  if (filters.empty()) return {{{&kOne, 1, 1}, how}};
  if (filters.size() == 1) return {{filters[0], how}};
  Resampling row = how, column = how;
  row.up_y = row.down_y = column.up_x = column.down_x = 1;
  row.top = row.bottom = column.left = column.right = 0;
  row.gain = 1.0f;
  return {{filters[0], row}, {filters[1], column}};
}

Shape4 upfirdn2d_shape(Shape4 in, const FilterSteps& steps) {
  for (const auto& [filter, how] : steps) in = upfirdn2d_shape(in, filter, how);
  return in;
}

int64_t largest_size(const Shape4& in, const FilterSteps& steps) {
  Shape4 shape = in;
  int64_t largest = 0;
  for (const auto& [filter, how] : steps) {
    shape = upfirdn2d_shape(shape, filter, how);
    largest = std::max(largest, saturated_size(shape));
  }
  return largest;
}

void upfirdn2d(const float* x, Shape4 in, const FilterSteps& steps, const Threads& threads, float* out) {
  std::vector<float> held;
  for (size_t k = 0; k < steps.size(); ++k) {
    const auto& [filter, how] = steps[k];
    const Shape4 next = upfirdn2d_shape(in, filter, how);
    if (k + 1 == steps.size()) return upfirdn2d(x, in, filter, how, threads, out);
    std::vector<float> made(static_cast<size_t>(next.size()));
    upfirdn2d(x, in, filter, how, threads, made.data());
    held = std::move(made);
    x = held.data();
    in = next;
  }
}

}  // namespace dsb

// The shapes and steps of upfirdn2d, which the GPU's operators share.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "ops/upfirdn2d.h"

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

}  // namespace dsb

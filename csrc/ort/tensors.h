// Shapes of the tensors that a session hands to an operator, and how much larger a result may be.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/upfirdn2d.h"
#include "ort/library.h"

namespace dsb {
namespace ort {

using Dimensions = std::vector<int64_t>;

std::string text(const Dimensions& shape);

// [N, C, H, W]. Throws std::invalid_argument for another rank, or more values than 2^40, zeros counted as ones.
Shape4 image_shape(const std::string& op, const std::string& name, const Dimensions& shape);

// Throws std::invalid_argument unless `made` values are in proportion to what the images given hold: a file's padding,
// factors and channels may make a tensor at most 1024 times as large, or a million values. Of an empty batch nothing is
// made.
void check_growth(const std::string& op, const Shape4& given, int64_t made);

// Throws std::invalid_argument, naming operator and input, unless `given` is `needed`.
void check_shape(const std::string& op, const std::string& name, const Dimensions& given, const Dimensions& needed);

// A float32 tensor of the session's.
struct Tensor {
  const float* data;
  Dimensions shape;
  size_t count;
};

Tensor input(const Ort::KernelContext& context, size_t index);
// Nothing where the node leaves the input out.
std::optional<Tensor> optional_input(const Ort::KernelContext& context, size_t index);
// The same when the kernel is made. Throws std::invalid_argument if the input is no constant of the graph.
std::optional<Tensor> constant_input(const Ort::ConstKernelInfo& info, const std::string& op, size_t index,
                                     const char* name);

// The weight of a convolution of one point, [out, in] or [out, in, 1, 1], as [out, in]. Throws std::invalid_argument if
// it is no such constant, or has a size of 0.
Tensor point_weight(const Ort::ConstKernelInfo& info, const std::string& op, size_t index, const char* name);

// A resampling filter as setup_filter makes it: [h, w], or [t] for a separable one, which becomes row and column. The
// taps are not copied. Throws std::invalid_argument for any other shape.
std::vector<Filter> filters_of(const std::string& op, const Tensor& taps);

}  // namespace ort
}  // namespace dsb

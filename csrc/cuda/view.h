// Tensors that somebody else owns, however they lie in memory, and copies of them that lie densely.
#pragma once

#include "cuda/conv_geometry.h"
#include "cuda/kernels.h"
#include "cuda/storage.h"
#include "ops/tensor.h"

namespace dsb {
namespace cuda {

struct View {
  Array array;
  Shape4 shape = {1, 1, 1, 1};
  Steps steps;

  explicit operator bool() const { return array.data != nullptr; }
  DSB_HD float at(int64_t n, int64_t c, int64_t h, int64_t w) const { return load_one(array, steps.at(n, h, w, c)); }
};

// The steps of [N, C, H, W] in C order, and of the same numbers as [N, H, W, C].
inline Steps channels_first(const Shape4& s) { return {s.c * s.h * s.w, s.w, 1, s.h * s.w}; }
inline Steps channels_last(const Shape4& s) { return {s.c * s.h * s.w, s.w * s.c, s.c, 1}; }

// Whether every element lies where `steps` says; steps along axes of one element don't matter.
inline bool lies_as(const View& view, const Steps& steps) {
  const Shape4& s = view.shape;
  if (s.size() == 0) return true;
  return (s.n == 1 || view.steps.n == steps.n) && (s.c == 1 || view.steps.channel == steps.channel) &&
         (s.h == 1 || view.steps.y == steps.y) && (s.w == 1 || view.steps.x == steps.x);
}

// What a copy is made of: the value at [n, c, h, w], in C order, or as [N, H, W, C].
template <typename T>
struct Gather {
  View from;
  bool channels_last;
  T* to;

  DSB_HD void operator()(uint32_t index) const {
    const Shape4& s = from.shape;
    const auto c = static_cast<uint32_t>(s.c), h = static_cast<uint32_t>(s.h), w = static_cast<uint32_t>(s.w);
    uint32_t rest = index, at_c = 0;
    if (channels_last) at_c = rest % c, rest /= c;
    const uint32_t at_w = rest % w, at_h = rest / w % h;
    rest /= w * h;
    if (!channels_last) at_c = rest % c, rest /= c;
    to[index] = from_float<T>(from.at(rest, at_c, at_h, at_w));
  }
};

// to[...] = from, dense, of type T. Defined for float, Half and BFloat16.
template <typename T>
void gather(const View& from, bool channels_last, Stream stream, T* to);

}  // namespace cuda
}  // namespace dsb

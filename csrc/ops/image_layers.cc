#include "ops/image_layers.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "ops/dispatch.h"
#include "ops/work.h"

namespace dsb {
namespace {

// body(plane) for every plane, so many a task as are worth one.
template <typename Body>
void for_planes(int64_t planes, int64_t work, const Threads& threads, const Body& body) {
  const int64_t group = items_per_task(work);
  parallel_for(static_cast<uint64_t>(divide_up(planes, group)), threads, [&](uint64_t task) {
    const int64_t first = static_cast<int64_t>(task) * group;
    for (int64_t plane = first; plane < std::min(planes, first + group); ++plane) body(plane);
  });
}

}  // namespace

void upsample_bilinear2d(const float* x, const Shape4& shape, const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const int64_t plane = shape.h * shape.w;
  for_planes(shape.n * shape.c, 8 * plane, threads,
             [&](int64_t p) { k.bilinear_up2(x + p * plane, shape.h, shape.w, out + 4 * p * plane); });
}

void blur2d(const float* x, const Shape4& shape, const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const int64_t plane = shape.h * shape.w;
  for_planes(shape.n * shape.c, 4 * plane, threads,
             [&](int64_t p) { k.blur2d(x + p * plane, shape.h, shape.w, out + p * plane); });
}

void channel_norm(const float* x, const Shape4& shape, const float* gain, const float* bias, float eps,
                  bool eps_to_deviation, const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const int64_t positions = shape.h * shape.w, run = std::max<int64_t>(64, items_per_task(4 * shape.c));
  const int64_t runs = divide_up(positions, run);
  parallel_for(static_cast<uint64_t>(shape.n * runs), threads, [&](uint64_t task) {
    const int64_t n = static_cast<int64_t>(task) / runs, first = static_cast<int64_t>(task) % runs * run;
    const int64_t at = n * shape.c * positions + first;
    k.channel_norm(x + at, shape.c, positions, std::min(run, positions - first), gain, bias, eps, eps_to_deviation,
                   out + at);
  });
}

void instance_norm(const float* x, const Shape4& shape, const float* gain, const float* bias, float eps,
                   const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const int64_t plane = shape.h * shape.w;
  for_planes(shape.n * shape.c, 4 * plane, threads, [&](int64_t p) {
    k.instance_norm(x + p * plane, plane, gain[p % shape.c], bias[p % shape.c], eps, out + p * plane);
  });
}

Shape4 depthwise_conv2d_shape(const Shape4& x, const DepthwiseConv& conv) {
  if (conv.height < 1 || conv.width < 1 || conv.padding < 0)
    throw std::invalid_argument("depthwise_conv2d: the kernel needs a size of at least 1, the padding of at least 0");
  const Shape4 out = {x.n, x.c, x.h + 2 * conv.padding - conv.height + 1, x.w + 2 * conv.padding - conv.width + 1};
  if (out.h < 1 || out.w < 1)
    throw std::invalid_argument("depthwise_conv2d: x is " + text(x) + ", too small for its padding and a kernel of " +
                                std::to_string(conv.height) + " x " + std::to_string(conv.width));
  return out;
}

void depthwise_conv2d(const float* x, const Shape4& shape, const float* weight, const DepthwiseConv& conv,
                      const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const Shape4 result = depthwise_conv2d_shape(shape, conv);
  const int64_t height = shape.h + 2 * conv.padding, width = shape.w + 2 * conv.padding;
  const int64_t taps = conv.height * conv.width, plane = result.h * result.w;
  const ConvPlane how = {1, height, width, result.h, result.w, conv.height, conv.width, false};
  for_planes(shape.n * shape.c, taps * plane, threads, [&](int64_t p) {
    std::vector<float> padded(static_cast<size_t>(height * width), 0.0f);
    for (int64_t y = 0; y < shape.h; ++y)
      std::copy_n(x + (p * shape.h + y) * shape.w, shape.w, padded.data() + (y + conv.padding) * width + conv.padding);
    k.conv2d(how, padded.data(), weight + p % shape.c * taps, out + p * plane);
  });
}

void noise_planes(const float* x, int64_t count, int64_t height, int64_t width, int64_t size, const Threads& threads,
                  float* out) {
  constexpr int64_t kBlock = 16;  // rows whose cache lines stay until all of their columns are written
  for_planes(count, size * size, threads, [&](int64_t n) {
    const float* from = x + n * height * width;
    float* to = out + n * size * size;
    for (int64_t first = 0; first < size; first += kBlock)
      for (int64_t column = 0; column < size; ++column)
        for (int64_t row = first; row < std::min(size, first + kBlock); ++row)
          to[column * size + row] = from[row * width + column];
  });
}

}  // namespace dsb

#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kTile = 64;  // outputs of a row that stay in registers over the whole sum

// `width` outputs of one row; with a constant width the compiler keeps the accumulators in registers.
inline void tile(const ConvPlane& p, const float* x, const float* weight, int64_t width, float* out) {
  float sum[kTile];
  for (int64_t k = 0; k < width; ++k) sum[k] = 0.0f;
  const int64_t taps = p.kernel_height * p.kernel_width;
  for (int64_t channel = 0; channel < p.in_channels; ++channel) {
    const float* plane = x + channel * p.in_height * p.in_width;
    const float* filter = weight + channel * taps;
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float w = filter[p.flip ? taps - 1 - tap : tap];
      const float* from = plane + tap / p.kernel_width * p.in_width + tap % p.kernel_width;
      for (int64_t k = 0; k < width; ++k) sum[k] = madd(w, from[k], sum[k]);
    }
  }
  for (int64_t k = 0; k < width; ++k) out[k] = sum[k];
}

}  // namespace

void conv2d(const ConvPlane& p, const float* x, const float* weight, float* out) {
  for (int64_t y = 0; y < p.out_height; ++y) {
    const float* row = x + y * p.in_width;
    float* to = out + y * p.out_width;
    int64_t done = 0;
    for (; done + kTile <= p.out_width; done += kTile) tile(p, row + done, weight, kTile, to + done);
    if (done < p.out_width) tile(p, row + done, weight, p.out_width - done, to + done);
  }
}

void scale_add(const float* x, size_t count, float factor, const float* addend, float* out) {
  if (addend) {
    for (size_t e = 0; e < count; ++e) out[e] = madd(x[e], factor, addend[e]);
  } else {
    for (size_t e = 0; e < count; ++e) out[e] = x[e] * factor;
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

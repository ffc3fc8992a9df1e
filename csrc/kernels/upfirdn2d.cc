#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

int64_t greatest_common_divisor(int64_t a, int64_t b) {
  while (b) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// The outputs of a row that a tap column meets: out[first + k * step] reads x[source + k * advance], `count` times.
struct Meeting {
  int64_t first, count, source, step, advance;
};

Meeting meet(const UpfirdnPlane& p, int64_t column) {
  const int64_t common = greatest_common_divisor(p.up_x, p.down_x);
  Meeting m = {0, 0, 0, p.up_x / common, p.down_x / common};
  const int64_t extent = p.in_width * p.up_x;
  for (int64_t ox = 0; ox < p.out_width; ++ox) {
    const int64_t u = ox * p.down_x + column - p.pad_left;
    if (u >= extent) break;
    if (u < 0 || u % p.up_x) continue;
    m.first = ox;
    m.source = u / p.up_x;
    const int64_t by_output = (p.out_width - 1 - ox) / m.step, by_input = (p.in_width - 1 - m.source) / m.advance;
    m.count = 1 + (by_output < by_input ? by_output : by_input);
    break;
  }
  return m;
}

}  // namespace

void upfirdn2d(const UpfirdnPlane& p, const float* x, const float* taps, float gain, float* out) {
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    float* row = out + oy * p.out_width;
    for (int64_t ox = 0; ox < p.out_width; ++ox) row[ox] = 0.0f;
    for (int64_t ty = 0; ty < p.taps_height; ++ty) {
      const int64_t v = oy * p.down_y + ty - p.pad_top;
      if (v < 0 || v >= p.in_height * p.up_y || v % p.up_y) continue;
      const float* in = x + v / p.up_y * p.in_width;
      for (int64_t tx = 0; tx < p.taps_width; ++tx) {
        const Meeting m = meet(p, tx);
        const float tap = taps[ty * p.taps_width + tx];
        float* to = row + m.first;
        const float* from = in + m.source;
        if (m.step == 1 && m.advance == 1) {
          for (int64_t k = 0; k < m.count; ++k) to[k] = madd(tap, from[k], to[k]);
        } else {
          for (int64_t k = 0; k < m.count; ++k) to[k * m.step] = madd(tap, from[k * m.advance], to[k * m.step]);
        }
      }
    }
    for (int64_t ox = 0; ox < p.out_width; ++ox) row[ox] *= gain;
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {

bool grey_levels(const float* x, int64_t channels, int64_t pixels, float scale, float offset, uint8_t* out) {
  constexpr int64_t kTile = 64;
  int32_t level[kTile];
  int32_t numbers = 1;
  for (int64_t first = 0; first < pixels; first += kTile) {
    const int64_t count = pixels - first < kTile ? pixels - first : kTile;
    for (int64_t c = 0; c < channels; ++c) {
      const float* from = x + c * pixels + first;
      for (int64_t k = 0; k < count; ++k) {
        float y = from[k] * scale + offset;
        numbers &= y == y ? 1 : 0;
        y = y > 0.0f ? y : 0.0f;
        y = y < 255.0f ? y : 255.0f;
        level[k] = static_cast<int32_t>(y);
      }
      uint8_t* to = out + first * channels + c;
      for (int64_t k = 0; k < count; ++k) to[k * channels] = static_cast<uint8_t>(level[k]);
    }
  }
  return numbers != 0;
}

}  // namespace DSB_VARIANT
}  // namespace dsb

// Filters over a plane's nearest neighbours: the rows are combined first, then the columns of a tile of the result.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kTile = 64;

inline float bilinear(float near, float far) { return madd(0.75f, near, 0.25f * far); }

// Index -1 or `size` reflected about the border, which is not repeated.
inline int64_t reflected(int64_t index, int64_t size) {
  if (size == 1) return 0;
  return index < 0 ? 1 : index >= size ? size - 2 : index;
}

inline int64_t clamped(int64_t index, int64_t size) { return index < 0 ? 0 : index >= size ? size - 1 : index; }

}  // namespace

void bilinear_up2(const float* x, int64_t height, int64_t width, float* out) {
  float blend[kTile + 2];  // columns first - 1 to first + count
  for (int64_t y = 0; y < 2 * height; ++y, out += 2 * width) {
    const float* near = x + y / 2 * width;
    const float* far = x + clamped(y % 2 ? y / 2 + 1 : y / 2 - 1, height) * width;
    for (int64_t first = 0; first < width; first += kTile) {
      const int64_t count = width - first < kTile ? width - first : kTile;
      for (int64_t k = 0; k < count; ++k) blend[k + 1] = bilinear(near[first + k], far[first + k]);
      const int64_t left = clamped(first - 1, width), right = clamped(first + count, width);
      blend[0] = bilinear(near[left], far[left]);
      blend[count + 1] = bilinear(near[right], far[right]);
      float* to = out + 2 * first;
      for (int64_t k = 0; k < count; ++k) {
        to[2 * k] = bilinear(blend[k + 1], blend[k]);
        to[2 * k + 1] = bilinear(blend[k + 1], blend[k + 2]);
      }
    }
  }
}

void blur2d(const float* x, int64_t height, int64_t width, float* out) {
  float sum[kTile + 2];  // columns first - 1 to first + count
  for (int64_t y = 0; y < height; ++y, out += width) {
    const float* above = x + reflected(y - 1, height) * width;
    const float* row = x + y * width;
    const float* below = x + reflected(y + 1, height) * width;
    for (int64_t first = 0; first < width; first += kTile) {
      const int64_t count = width - first < kTile ? width - first : kTile;
      for (int64_t k = 0; k < count; ++k) sum[k + 1] = madd(2.0f, row[first + k], above[first + k] + below[first + k]);
      const int64_t left = reflected(first - 1, width), right = reflected(first + count, width);
      sum[0] = madd(2.0f, row[left], above[left] + below[left]);
      sum[count + 1] = madd(2.0f, row[right], above[right] + below[right]);
      for (int64_t k = 0; k < count; ++k) out[first + k] = madd(2.0f, sum[k + 1], sum[k] + sum[k + 2]) * 0.0625f;
    }
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

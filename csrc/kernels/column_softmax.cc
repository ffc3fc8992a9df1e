// Softmax over the rows of a panel, the next panel's joined to it by what is left of the last one.
#include "kernels/declarations.h"
#include "kernels/elementary.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

template <int kColumns>
inline void tile(float* x, int64_t rows, int64_t row, float* largest, float* sums, float* scale) {
  float most[kColumns], sum[kColumns];
  for (int c = 0; c < kColumns; ++c) {
    most[c] = largest[c];
    sum[c] = 0.0f;
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < kColumns; ++c) {
      const float v = x[r * row + c];
      most[c] = v > most[c] ? v : most[c];
    }
  for (int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < kColumns; ++c) {
      const float e = exp2_f32(x[r * row + c] - most[c]);
      x[r * row + c] = e;
      sum[c] += e;
    }
  for (int c = 0; c < kColumns; ++c) {
    const float left = exp2_f32(largest[c] - most[c]);
    scale[c] = left;
    sums[c] = madd(sums[c], left, sum[c]);
    largest[c] = most[c];
  }
}

}  // namespace

void exp2_columns(int64_t rows, int64_t columns, float* x, float* largest, float* sums, float* scale) {
  int64_t c = 0;
  for (; c + 32 <= columns; c += 32) tile<32>(x + c, rows, columns, largest + c, sums + c, scale + c);
  if (c < columns) tile<16>(x + c, rows, columns, largest + c, sums + c, scale + c);
}

}  // namespace DSB_VARIANT
}  // namespace dsb

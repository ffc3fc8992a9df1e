#include "kernels/declarations.h"
#include "kernels/elementary.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kTile = 64;    // columns whose maxima and sums stay in the first-level cache
constexpr size_t kPartial = 16;  // running maxima; a maximum does not depend on how many

inline void tile(const float* x, int64_t rows, int64_t row, int64_t width, float scale, float factor, float* out,
                 int64_t out_row) {
  float largest[kTile], sum[kTile];
  for (int64_t c = 0; c < width; ++c) {
    largest[c] = x[c] * scale;
    sum[c] = 0.0f;
  }
  for (int64_t r = 1; r < rows; ++r)
    for (int64_t c = 0; c < width; ++c) {
      const float v = x[r * row + c] * scale;
      largest[c] = v > largest[c] ? v : largest[c];
    }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; ++c) {
      const float e = exp_f32(x[r * row + c] * scale - largest[c]);
      out[r * out_row + c] = e;
      sum[c] += e;
    }
  for (int64_t c = 0; c < width; ++c) sum[c] = factor / sum[c];
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; ++c) out[r * out_row + c] *= sum[c];
}

}  // namespace

float row_maximum(const float* x, size_t count, float scale) {
  float largest[kPartial];
  for (size_t k = 0; k < kPartial; ++k) largest[k] = -__builtin_inff();
  size_t e = 0;
  for (; e + kPartial <= count; e += kPartial)
    for (size_t k = 0; k < kPartial; ++k) {
      const float v = x[e + k] * scale;
      largest[k] = v > largest[k] ? v : largest[k];
    }
  for (; e < count; ++e) {
    const float v = x[e] * scale;
    largest[0] = v > largest[0] ? v : largest[0];
  }
  for (size_t k = 1; k < kPartial; ++k) largest[0] = largest[k] > largest[0] ? largest[k] : largest[0];
  return largest[0];
}

void exp_row(const float* x, size_t count, float scale, float maximum, float* out, size_t out_step) {
  float values[kTile];
  for (size_t first = 0; first < count; first += kTile) {
    const size_t width = count - first < kTile ? count - first : kTile;
    for (size_t k = 0; k < width; ++k) values[k] = exp_f32(x[first + k] * scale - maximum);
    for (size_t k = 0; k < width; ++k) out[(first + k) * out_step] = values[k];
  }
}

void softmax_columns(const float* x, int64_t rows, int64_t row, int64_t columns, float scale, float factor, float* out,
                     int64_t out_row) {
  if (rows == 0) return;
  int64_t done = 0;
  for (; done + kTile <= columns; done += kTile) tile(x + done, rows, row, kTile, scale, factor, out + done, out_row);
  if (done < columns) tile(x + done, rows, row, columns - done, scale, factor, out + done, out_row);
}

}  // namespace DSB_VARIANT
}  // namespace dsb

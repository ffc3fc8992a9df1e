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

// The same with weights rounded, in pairs of rows; what is summed are the rounded weights.
template <int kColumns>
inline void pairs_tile(const float* x, int64_t rows, int64_t row, float* largest, float* sums, float* scale,
                       bfloat16_pair* out) {
  constexpr int lanes = static_cast<int>(kFloatLanes);
  const Pairs ones = set_pairs(0x3F803F80u);
  float most[kColumns], weights[2][kColumns];
  F32 sum[kColumns / lanes];
  for (int c = 0; c < kColumns; ++c) most[c] = largest[c];
  for (int v = 0; v < kColumns / lanes; ++v) sum[v] = set_f32(0.0f);
  for (int64_t r = 0; r < rows; ++r)
    for (int c = 0; c < kColumns; ++c) {
      const float v = x[r * row + c];
      most[c] = v > most[c] ? v : most[c];
    }
  for (int64_t r = 0; r < rows; r += 2, out += row) {
    for (int c = 0; c < kColumns; ++c) weights[0][c] = exp2_f32(x[r * row + c] - most[c]);
    if (r + 1 < rows)
      for (int c = 0; c < kColumns; ++c) weights[1][c] = exp2_f32(x[(r + 1) * row + c] - most[c]);
    else
      for (int c = 0; c < kColumns; ++c) weights[1][c] = 0.0f;
    for (int v = 0; v < kColumns / lanes; ++v) {
      const Pairs pairs = round_pairs(load_f32(weights[0] + v * lanes), load_f32(weights[1] + v * lanes));
      sum[v] = dot_pairs(pairs, ones, sum[v]);
      store_pairs(pairs, out + v * lanes);
    }
  }
  for (int v = 0; v < kColumns / lanes; ++v) store_f32(sum[v], weights[0] + v * lanes);
  for (int c = 0; c < kColumns; ++c) {
    const float left = exp2_f32(largest[c] - most[c]);
    scale[c] = left;
    sums[c] = madd(sums[c], left, weights[0][c]);
    largest[c] = most[c];
  }
}

}  // namespace

void exp2_columns(int64_t rows, int64_t columns, float* x, float* largest, float* sums, float* scale) {
  int64_t c = 0;
  for (; c + 32 <= columns; c += 32) tile<32>(x + c, rows, columns, largest + c, sums + c, scale + c);
  if (c < columns) tile<16>(x + c, rows, columns, largest + c, sums + c, scale + c);
}

void exp2_columns_bf16(int64_t rows, int64_t columns, const float* x, float* largest, float* sums, float* scale,
                       bfloat16_pair* out) {
  int64_t c = 0;
  for (; c + 32 <= columns; c += 32)
    pairs_tile<32>(x + c, rows, columns, largest + c, sums + c, scale + c, out + c);
  if (c < columns) pairs_tile<16>(x + c, rows, columns, largest + c, sums + c, scale + c, out + c);
}

}  // namespace DSB_VARIANT
}  // namespace dsb

// Products of matrices: vectors over the columns of the result, a few rows at a time.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kLaneFloats = static_cast<int64_t>(kFloatLanes);

// R rows of V vectors; `rest`, if not 0, is how many lanes of the only vector there are.
template <int R, int V>
inline void block(const MatrixProduct& p, const float* a, const float* b, int64_t rest, float* out) {
  F32 sum[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = set_f32(0.0f);
  }
  for (int64_t t = 0; t < p.terms; ++t, b += p.b_row) {
    F32 in[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) in[v] = rest ? load_first(b, rest) : load_f32(b + v * kLaneFloats);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const F32 factor = set_f32(a[r * p.a_row + t]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] = madd(factor, in[v], sum[r][v]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      float* to = out + r * p.out_row + v * kLaneFloats;
      if (rest)
        store_first(sum[r][v], rest, to);
      else
        store_f32(sum[r][v], to);
    }
  }
}

template <int R>
inline void rows(const MatrixProduct& p, const float* a, const float* b, float* out) {
  int64_t c = 0;
  for (; c + kMatmulVectors * kLaneFloats <= p.columns; c += kMatmulVectors * kLaneFloats)
    block<R, kMatmulVectors>(p, a, b + c, 0, out + c);
  for (; c + kLaneFloats <= p.columns; c += kLaneFloats) block<R, 1>(p, a, b + c, 0, out + c);
  if (c < p.columns) block<R, 1>(p, a, b + c, p.columns - c, out + c);
}

}  // namespace

void matmul(const MatrixProduct& p, const float* a, const float* b, float* out) {
  int64_t r = 0;
  for (; r + kMatmulRows <= p.rows; r += kMatmulRows) rows<kMatmulRows>(p, a + r * p.a_row, b, out + r * p.out_row);
  a += r * p.a_row;
  out += r * p.out_row;
  switch (p.rows - r) {
    case 5:
      return rows<5>(p, a, b, out);
    case 4:
      return rows<4>(p, a, b, out);
    case 3:
      return rows<3>(p, a, b, out);
    case 2:
      return rows<2>(p, a, b, out);
    case 1:
      return rows<1>(p, a, b, out);
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

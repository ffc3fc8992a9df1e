// Products of a panel's matrices: a few rows by some vectors of columns in registers, and what follows the sums there.
// A term is a number in float32, a pair of numbers in bfloat16.
#include "kernels/declarations.h"
#include "kernels/lane_activation.h"
#include "kernels/terms.h"

#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);

inline F32 joined(const PanelProduct& p, F32 sum, F32 factor, F32 slope, const float* out) {
  switch (p.join) {
    case Join::lrelu:
      return lrelu(sum, slope);
    case Join::add_scaled:
      return madd(sum, factor, load_f32(out));
    case Join::rescale:
      return madd(load_f32(out), factor, sum);
    default:
      return sum;
  }
}

// R rows of V vectors.
template <int R, int V, typename Term>
void block(const PanelProduct& p, const Term* a, const Term* b, const float* start, const float* factors, float* out) {
  F32 sum[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    const F32 first = set_f32(start ? start[r] : 0.0f);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = first;
  }
  const int64_t a_row = p.a_row;
  for (int64_t t = 0; t < p.terms; ++t, a += p.a_term, b += p.b_term) {
    decltype(load_terms(b)) in[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) in[v] = load_terms(b + v * kWidth);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const auto one = set_term(a[r * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] = add_product(one, in[v], sum[r][v]);
    }
  }
  const F32 slope = set_f32(p.slope);
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const F32 factor = factors ? load_f32(factors + v * kWidth) : slope;
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      float* to = out + r * p.out_row + v * kWidth;
      store_f32(joined(p, sum[r][v], factor, slope, to), to);
    }
  }
}

// All rows at V vectors of columns.
template <int V, typename Term>
void columns(const PanelProduct& p, const Term* a, const Term* b, const float* start, const float* factors,
             float* out) {
  constexpr int most = kMatmulRows;
  for (int64_t row = 0; row < p.rows;) {
    const int64_t left = p.rows - row, parts = (left + most - 1) / most, here = (left + parts - 1) / parts;
    const Term* from = a + row * p.a_row;
    const float* first = start ? start + row : nullptr;
    float* to = out + row * p.out_row;
    switch (here) {
#define DSB_ROWS(R)                                                \
  case R:                                                          \
    block<(R <= most ? R : 1), V>(p, from, b, first, factors, to); \
    break;
      DSB_ROWS(1)
      DSB_ROWS(2)
      DSB_ROWS(3)
      DSB_ROWS(4)
      DSB_ROWS(5)
      DSB_ROWS(6)
#undef DSB_ROWS
    }
    row += here;
  }
}

template <typename Term>
void all(const PanelProduct& p, const Term* a, const Term* b, const float* start, const float* factors, float* out) {
  constexpr int64_t most = kMatmulVectors * kWidth;
  int64_t e = 0;
  const auto at = [&](int64_t k) { return factors ? factors + k : nullptr; };
  for (; e + most <= p.columns; e += most) columns<kMatmulVectors>(p, a, b + e, start, at(e), out + e);
  for (; e + 2 * kWidth <= p.columns; e += 2 * kWidth) columns<2>(p, a, b + e, start, at(e), out + e);
  for (; e < p.columns; e += kWidth) columns<1>(p, a, b + e, start, at(e), out + e);
}

}  // namespace

void panel_product(const PanelProduct& p, const float* a, const float* b, const float* start, const float* factors,
                   float* out) {
  all(p, a, b, start, factors, out);
}

void panel_product_bf16(const PanelProduct& p, const bfloat16_pair* a, const bfloat16_pair* b, const float* start,
                        const float* factors, float* out) {
  all(p, a, b, start, factors, out);
}

void add_scaled_columns(int64_t rows, int64_t columns, const float* x, const float* factors, float* out) {
  for (int64_t r = 0; r < rows; ++r, x += columns, out += columns)
    for (int64_t e = 0; e < columns; e += kWidth)
      store_f32(madd(load_f32(x + e), load_f32(factors + e), load_f32(out + e)), out + e);
}

}  // namespace DSB_VARIANT
}  // namespace dsb

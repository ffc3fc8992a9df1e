// What measurements of signals spend their time in, in whole numbers: any order of adding gives the same.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {

void add_squared_steps(const int16_t* x, int64_t count, int64_t apart, int64_t* sums) {
  for (int64_t e = 0; e < count; ++e) {
    const uint32_t step = static_cast<uint32_t>(x[e + apart] - x[e]);  // its square fits, modulo 2^32 or not
    sums[e] += static_cast<int64_t>(step * step);
  }
}

int64_t count_at_most(const int32_t* x, int64_t count, int32_t limit) {
  constexpr int64_t kPiece = 1 << 20;  // what an accumulator as narrow as the values can count
  int64_t total = 0;
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t end = count - first < kPiece ? count : first + kPiece;
    int32_t part = 0;
    for (int64_t e = first; e < end; ++e) part += x[e] <= limit ? 1 : 0;
    total += part;
  }
  return total;
}

void order_rows(int32_t* low, int32_t* high, int64_t count) {
  for (int64_t e = 0; e < count; ++e) {
    const int32_t a = low[e], b = high[e];
    low[e] = a < b ? a : b;
    high[e] = a < b ? b : a;
  }
}

void correlate(const double* x, int64_t rows, int64_t row, const double* pattern, int64_t columns, double* out) {
  double sums[kCorrelationLags] = {};
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const double factor = pattern[r * columns + c];
      const double* from = x + r * row + c;
      for (int64_t lag = 0; lag < kCorrelationLags; ++lag) sums[lag] += factor * from[lag];
    }
  for (int64_t lag = 0; lag < kCorrelationLags; ++lag) out[lag] = sums[lag];
}

}  // namespace DSB_VARIANT
}  // namespace dsb

// Panels: some positions of all channels side by side, so that a product's matrices fit the caches. How an image is cut
// into them is part of the arithmetic only where sums run over positions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/kernels.h"

namespace dsb {

constexpr int64_t kPanel = 64;  // positions

inline int64_t padded_to_block(int64_t count) { return (count + kChannelBlock - 1) / kChannelBlock * kChannelBlock; }

// out [channels, kPanel]: `width` positions of planes `plane` apart, up to the next whole block of zeros behind them.
inline void gather_panel(const float* x, int64_t channels, int64_t plane, int64_t width, float* out) {
  const int64_t padded = padded_to_block(width);
  for (int64_t c = 0; c < channels; ++c, x += plane, out += kPanel) {
    std::copy_n(x, width, out);
    std::fill(out + width, out + padded, 0.0f);
  }
}

// Asks for `width` positions of `count` planes from plane `first` on.
inline void prefetch_panel(const float* x, int64_t first, int64_t count, int64_t plane, int64_t width) {
  constexpr int64_t line = 16;
  for (int64_t c = first; c < first + count; ++c)
    for (int64_t e = 0; e < width; e += line) __builtin_prefetch(x + c * plane + e);
}

// out [terms, padded rows]: `factor` times a matrix [rows, terms], rounded once, zeros behind the rows.
inline void pack_rows(const float* matrix, int64_t rows, int64_t terms, int64_t row, double factor, float* out) {
  const int64_t padded = padded_to_block(rows);
  for (int64_t t = 0; t < terms; ++t)
    for (int64_t r = 0; r < padded; ++r)
      out[t * padded + r] = r < rows ? static_cast<float>(factor * matrix[r * row + t]) : 0.0f;
}

}  // namespace dsb

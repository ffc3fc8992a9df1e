// Panels: some positions of all channels side by side, so that a product's matrices fit the caches. How an image is cut
// into them is part of the arithmetic only where sums run over positions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/kernels.h"

namespace dsb {

constexpr int64_t kPanel = 64;  // positions
constexpr int64_t kRun = 4;     // panels that are read and written together: rows far apart are slow in short pieces

inline int64_t padded_to_block(int64_t count) { return (count + kChannelBlock - 1) / kChannelBlock * kChannelBlock; }

// out [panel][channels][kPanel]: `width` positions, at most kRun panels, of planes `plane` apart, up to the next whole
// block of zeros behind them.
inline void gather_run(const float* x, int64_t channels, int64_t plane, int64_t width, float* out) {
  const int64_t padding = padded_to_block(width) - width;
  for (int64_t c = 0; c < channels; ++c, x += plane) {
    float* to = out + c * kPanel;
    for (int64_t e = 0; e < width; e += kPanel, to += channels * kPanel)
      std::copy_n(x + e, std::min(kPanel, width - e), to);
    if (padding) std::fill_n(to - channels * kPanel + (width - 1) % kPanel + 1, padding, 0.0f);
  }
}

// The other way round, plus the residual if it is not null, which has planes like out's: panels [channels][columns],
// kPanel columns or, in the last one, the next whole block.
inline void scatter_run(const Kernels& k, const float* panels, int64_t channels, int64_t plane, int64_t width,
                        const float* residual, float* out) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t e = 0; e < width; e += kPanel) {
      const int64_t count = std::min(kPanel, width - e);
      const float* from = panels + e * channels + c * padded_to_block(count);
      if (residual)
        k.scale_add(from, static_cast<size_t>(count), 1.0f, residual + c * plane + e, out + c * plane + e);
      else
        std::copy_n(from, count, out + c * plane + e);
    }
}

// out [terms, padded rows]: `factor` times a matrix [rows, terms], rounded once, zeros behind the rows.
inline void pack_rows(const float* matrix, int64_t rows, int64_t terms, int64_t row, double factor, float* out) {
  const int64_t padded = padded_to_block(rows);
  for (int64_t t = 0; t < terms; ++t)
    for (int64_t r = 0; r < padded; ++r)
      out[t * padded + r] = r < rows ? static_cast<float>(factor * matrix[r * row + t]) : 0.0f;
}

}  // namespace dsb

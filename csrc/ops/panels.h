// Panels: some positions of all channels side by side, so that a product's matrices fit the caches. How an image is cut
// into them is part of the arithmetic only where sums run over positions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/large_memory.h"
#include "core/threads.h"
#include "kernels/kernels.h"
#include "ops/work.h"

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

// In bfloat16 values lose the centre of their plane before they are rounded: what is left of them is more exact, and
// what the centres add to a product is known without the positions. These are the centres of `planes` planes.
inline std::vector<float> plane_centres(const Kernels& k, const float* x, int64_t planes, int64_t positions,
                                        const Threads& threads) {
  std::vector<float> centres(static_cast<size_t>(planes));
  const int64_t each = items_per_task(positions);
  parallel_for(static_cast<uint64_t>(divide_up(planes, each)), threads, [&](uint64_t task) {
    const int64_t first = static_cast<int64_t>(task) * each;
    for (int64_t p = first; p < std::min(first + each, planes); ++p)
      centres[static_cast<size_t>(p)] = k.plane_centre(x + p * positions, positions);
  });
  return centres;
}

// As gather_run, out [panel][pair of channels][kPanel].
inline void gather_pairs(const Kernels& k, const float* x, const float* centres, int64_t channels, int64_t plane,
                         int64_t width, bfloat16_pair* out) {
  const int64_t pairs = divide_up(channels, 2);
  for (int64_t c = 0; c < channels; c += 2, x += 2 * plane)
    for (int64_t e = 0; e < width; e += kPanel) {
      const bool both = c + 1 < channels;
      k.pair_channels(x + e, both ? x + plane + e : nullptr, std::min(kPanel, width - e), centres[c],
                      both ? centres[c + 1] : 0.0f, out + e * pairs + c / 2 * kPanel);
    }
}

// As gather_run, out [panel][channels][kPanel / 2 pairs of positions], zeros behind them up to the next whole pair.
inline void gather_neighbours(const Kernels& k, const float* x, const float* centres, int64_t channels, int64_t plane,
                              int64_t width, bfloat16_pair* out) {
  for (int64_t c = 0; c < channels; ++c, x += plane)
    for (int64_t e = 0; e < width; e += kPanel)
      k.pair_positions(x + e, std::min(kPanel, width - e), centres[c], out + (e * channels + c * kPanel) / 2);
}

// Rows in pairs, less their centres (null: 0), rounded: out [pair of rows][columns], of rows of whole blocks without
// gaps.
inline void pair_rows(const Kernels& k, const float* matrix, const float* centres, int64_t rows, int64_t columns,
                      bfloat16_pair* out) {
  for (int64_t r = 0; r < rows; r += 2, matrix += 2 * columns, out += columns) {
    const bool both = r + 1 < rows;
    k.pair_channels(matrix, both ? matrix + columns : nullptr, columns, centres ? centres[r] : 0.0f,
                    centres && both ? centres[r + 1] : 0.0f, out);
  }
}

using PairVector = std::vector<bfloat16_pair, LargeMemory<bfloat16_pair>>;

// The same of `matrices` packed ones, one behind the other.
inline PairVector round_packed(const Kernels& k, const LargeVector& packed, int64_t matrices, int64_t rows,
                               int64_t columns) {
  const int64_t pairs = divide_up(rows, 2);
  PairVector out(static_cast<size_t>(matrices * pairs * columns));
  for (int64_t m = 0; m < matrices; ++m)
    pair_rows(k, packed.data() + m * rows * columns, nullptr, rows, columns, out.data() + m * pairs * columns);
  return out;
}

// out [columns]: a vector times such a packed matrix [terms, columns], in float32.
inline void vector_product(const Kernels& k, const float* vector, const float* packed, int64_t terms, int64_t columns,
                           float* out) {
  const PanelProduct p = {1, columns, terms, 1, 1, columns, columns};
  k.panel_product(p, vector, packed, nullptr, nullptr, out);
}

}  // namespace dsb

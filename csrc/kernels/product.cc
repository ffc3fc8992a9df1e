// Sums of products for the one-dimensional layers, in both layouts: the same products in the same order, so the same
// bits.
#include "kernels/declarations.h"
#include "kernels/tile_cases.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);
constexpr int64_t kAhead = 64 * kChannelBlock;  // weights come from memory: asked for a page ahead, 3 % faster

// The steps of k: address of the first value, weights of it.
template <typename Step>
inline void for_each_k(const Product& p, const float* v, const float* weight, Step step) {
  for (int64_t r = 0; r < p.run_count; ++r) {
    const float* from = v + p.runs[r].offset;
    const int64_t count = p.runs[r].count, next = p.runs[r].step;
    if (p.taps == 1) {
      for (int64_t c = 0; c < count; ++c, from += next, weight += p.weight_step) step(from, weight);
      continue;
    }
    for (int64_t c = 0; c < count; ++c, from += next, weight += p.weight_step) {
      const float* tap = from;
      const float* w = weight;
      for (int64_t k = 0; k < p.taps; ++k, tap += p.tap_step, w += p.weight_tap) step(tap, w);
    }
  }
}

// O rows at T tiles, a sample a lane.
template <int O, int T>
inline void block_lanes(const Product& p, const float* v, const float* weight, float* out) {
  F32 sum[O][T];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) sum[o][t] = set_f32(0.0f);
  }
  const int64_t step = p.tile_step;
  for_each_k(p, v, weight, [&](const float* from, const float* w) {
    __builtin_prefetch(w + kAhead);
    F32 in[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) in[t] = load_f32(from + t * step);
#pragma GCC unroll 8
    for (int o = 0; o < O; ++o) {
      const F32 one = set_f32(w[o]);
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) sum[o][t] = madd(one, in[t], sum[o][t]);
    }
  });
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) store_f32(sum[o][t], out + o * p.out_row + t * p.out_tile);
  }
}

// Rows whose accumulators fit the registers beside T tiles and a weight.
template <int T>
constexpr int64_t most_rows() {
  return (kRegisters - T - 1) / T < 8 ? (kRegisters - T - 1) / T : 8;
}

template <int T>
inline void rows_lanes(const Product& p, const float* v, const float* weight, float* out) {
  constexpr int most = static_cast<int>(most_rows<T>());
  for (int64_t row = 0; row < p.rows;) {
    const int64_t left = p.rows - row, parts = (left + most - 1) / most, here = (left + parts - 1) / parts;
    const float* w = weight + row;
    float* to = out + row * p.out_row;
    switch (here) {
      case 1:
        block_lanes<1, T>(p, v, w, to);
        break;
      case 2:
        block_lanes<2, T>(p, v, w, to);
        break;
      case 3:
        block_lanes<3, T>(p, v, w, to);
        break;
      case 4:
        block_lanes<4, T>(p, v, w, to);
        break;
      case 5:
        block_lanes<5, T>(p, v, w, to);
        break;
      case 6:
        block_lanes<6, T>(p, v, w, to);
        break;
      case 7:
        block_lanes<(most > 6 ? 7 : 1), T>(p, v, w, to);
        break;
      default:
        block_lanes<(most > 7 ? 8 : 1), T>(p, v, w, to);
    }
    row += here;
  }
}

constexpr int kVectors = static_cast<int>(kChannelBlock / kWidth);  // of a block's rows

// Accumulators of layout channels, in blocks of rows, that fit the registers; and tiles of them.
constexpr int kBlocksInRegisters = kVectors == 1 ? 16 : kVectors == 2 ? 6 : 1;
constexpr int kMostTiles = kBlocksInRegisters < 12 ? kBlocksInRegisters : 12;
constexpr int kMostSeries = kBlocksInRegisters < 8 ? kBlocksInRegisters : 8;

// All rows of S blocks at T tiles, rows side by side.
template <int S, int T>
inline void block_channels(const Product& p, const float* v, const float* weight, float* out) {
  F32 sum[S][kVectors][T];
#pragma GCC unroll 8
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 16
    for (int b = 0; b < kVectors; ++b) {
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) sum[s][b][t] = set_f32(0.0f);
    }
  }
  // Elements of several series take as much longer.
  constexpr int64_t ahead = S == 1 ? kAhead : kAhead / 4;
  const int64_t step = p.tile_step, v_series = p.v_series, weight_series = p.weight_series;
  for_each_k(p, v, weight, [&](const float* from, const float* w) {
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) {
      const float* at = w + s * weight_series;
      const float* in = from + s * v_series;
      __builtin_prefetch(at + ahead);
      F32 rows[kVectors];
#pragma GCC unroll 16
      for (int b = 0; b < kVectors; ++b) rows[b] = load_f32(at + b * kWidth);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        const F32 one = set_f32(in[t * step]);
#pragma GCC unroll 16
        for (int b = 0; b < kVectors; ++b) sum[s][b][t] = madd(rows[b], one, sum[s][b][t]);
      }
    }
  });
#pragma GCC unroll 8
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 16
    for (int b = 0; b < kVectors; ++b) {
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) store_f32(sum[s][b][t], out + s * p.out_series + t * p.out_tile + b * p.out_row);
    }
  }
}

// All tiles of S blocks, at most kMostTiles at a time.
template <int S>
inline void series_channels(const Product& p, const float* v, const float* weight, float* out) {
  for (int64_t tile = 0; tile < p.tiles;) {
    const int64_t left = p.tiles - tile, parts = (left + kMostTiles - 1) / kMostTiles;
    const int64_t here = (left + parts - 1) / parts;
    const float* from = v + tile * p.tile_step;
    float* to = out + tile * p.out_tile;
    switch (here) {
#define DSB_CASE(T)                                                                \
  case T:                                                                          \
    block_channels<S, (S * T <= kBlocksInRegisters ? T : 1)>(p, from, weight, to); \
    break;
      DSB_TILE_CASES(DSB_CASE)
#undef DSB_CASE
    }
    tile += here;
  }
}

}  // namespace

void product_lanes(const Product& p, const float* v, const float* weight, float* out) {
  for (int64_t tile = 0; tile < p.tiles;) {
    // Seven or eight rows fit the registers at once beside three tiles.
    const int64_t most = kTilesInRegisters == 4 && (p.rows == 7 || p.rows == 8) ? 3 : kTilesInRegisters;
    const int64_t left = p.tiles - tile, parts = (left + most - 1) / most, here = (left + parts - 1) / parts;
    const float* from = v + tile * p.tile_step;
    float* to = out + tile * p.out_tile;
    switch (here) {
      case 1:
        rows_lanes<1>(p, from, weight, to);
        break;
      case 2:
        rows_lanes<2>(p, from, weight, to);
        break;
      case 3:
        rows_lanes<(kTilesInRegisters > 2 ? 3 : 1)>(p, from, weight, to);
        break;
      default:
        rows_lanes<(kTilesInRegisters > 3 ? 4 : 1)>(p, from, weight, to);
    }
    tile += here;
  }
}

void product_channels(const Product& p, const float* v, const float* weight, float* out) {
  if (p.tiles < 1) return;
  const int64_t parts = (p.tiles + kMostTiles - 1) / kMostTiles, tiles = (p.tiles + parts - 1) / parts;
  const int64_t fit = kBlocksInRegisters / tiles, most = fit < kMostSeries ? fit : kMostSeries;
  for (int64_t series = 0; series < p.series;) {
    const int64_t left = p.series - series, turns = (left + most - 1) / most, here = (left + turns - 1) / turns;
    const float* from = v + series * p.v_series;
    const float* w = weight + series * p.weight_series;
    float* to = out + series * p.out_series;
    switch (here) {
#define DSB_SERIES(S)                                            \
  case S:                                                        \
    series_channels<(S <= kMostSeries ? S : 1)>(p, from, w, to); \
    break;
      DSB_SERIES(1)
      DSB_SERIES(2)
      DSB_SERIES(3)
      DSB_SERIES(4)
      DSB_SERIES(5)
      DSB_SERIES(6)
      DSB_SERIES(7)
      DSB_SERIES(8)
#undef DSB_SERIES
    }
    series += here;
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

// Sums of products of the Winograd convolutions, vectors over output channels; in bfloat16 of pairs of input channels.
#include "kernels/declarations.h"
#include "kernels/terms.h"
#include "kernels/tile_cases.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);
constexpr int64_t kAhead = 1024;     // weights that are asked for in advance
constexpr int64_t kBlocksAhead = 2;  // of input channels

inline F32 term_at(const float* v) { return set_term(*v); }
inline Pairs term_at(const bfloat16* v) {
  bfloat16_pair pair;
  __builtin_memcpy(&pair, v, sizeof pair);
  return set_term(pair);
}

// B vectors of output channels at T tiles. Value: float, or bfloat16, of which Weight is a pair.
template <int B, int T, typename Value, typename Weight>
void block(const WinogradProduct& p, const Value* v, const Weight* weight, float* out) {
  constexpr int64_t step = sizeof(Weight) / sizeof(Value);
  F32 sum[B][T];
#pragma GCC unroll 2
  for (int b = 0; b < B; ++b) {
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) sum[b][t] = set_f32(0.0f);
  }
  for (int64_t c = 0; c < p.channels; c += kChannelBlock, v += p.v_block) {
    const int64_t count = p.channels - c < kChannelBlock ? p.channels - c : kChannelBlock;
    // Blocks lie too far apart for the processor to see them coming.
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) __builtin_prefetch(v + kBlocksAhead * p.v_block + t * kChannelBlock);
    for (int64_t k = 0; k < count; k += step, weight += p.rows) {
      __builtin_prefetch(weight + kAhead);
      if (B > 1 && kWidth == 16) __builtin_prefetch(weight + kAhead + kWidth);
      decltype(load_terms(weight)) rows[B];
#pragma GCC unroll 2
      for (int b = 0; b < B; ++b) rows[b] = load_terms(weight + b * kWidth);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        const auto one = term_at(v + t * kChannelBlock + k);
#pragma GCC unroll 2
        for (int b = 0; b < B; ++b) sum[b][t] = add_product(rows[b], one, sum[b][t]);
      }
    }
  }
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 2
    for (int b = 0; b < B; ++b) store_f32(sum[b][t], out + t * p.out_tile + b * kWidth);
  }
}

template <int B, typename Value, typename Weight>
void tiles(const WinogradProduct& p, const Value* v, const Weight* weight, float* out) {
  constexpr int most = kTileGroup;
  for (int64_t tile = 0; tile < p.tiles;) {
    const int64_t left = p.tiles - tile, parts = (left + most - 1) / most, here = (left + parts - 1) / parts;
    const Value* from = v + tile * kChannelBlock;
    float* to = out + tile * p.out_tile;
    switch (here) {
#define DSB_CASE(T)                                     \
  case T:                                               \
    block<B, (T <= most ? T : 1)>(p, from, weight, to); \
    break;
      DSB_TILE_CASES(DSB_CASE)
#undef DSB_CASE
    }
    tile += here;
  }
}

template <typename Value, typename Weight>
void all(const WinogradProduct& p, const Value* v, const Weight* weight, float* out) {
  for (int64_t row = 0; row < p.rows;) {
    if (row + 2 * kWidth <= p.rows) {
      tiles<2>(p, v, weight + row, out + row);
      row += 2 * kWidth;
    } else {
      tiles<1>(p, v, weight + row, out + row);
      row += kWidth;
    }
  }
}

}  // namespace

void winograd_product(const WinogradProduct& p, const float* v, const float* weight, float* out) {
  all(p, v, weight, out);
}

void winograd_product_bf16(const WinogradProduct& p, const bfloat16* v, const bfloat16_pair* weight, float* out) {
  all(p, v, weight, out);
}

}  // namespace DSB_VARIANT
}  // namespace dsb

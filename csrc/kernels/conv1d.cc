// One-dimensional convolutions, a sample a lane: no padding of channel counts, no unaligned loads, no sum across lanes.
#include "kernels/declarations.h"
#include "kernels/lane_activation.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kLaneFloats = static_cast<int64_t>(kFloatLanes);
constexpr int64_t kChunkBytes = 256 << 10;  // of input that stays in the second-level cache over all output channels

// O output channels at T positions.
template <int O, int T>
inline void block(const LaneConv& p, const float* x, const float* weight, const float* bias, float* out) {
  F32 sum[O][T];
#pragma GCC unroll 5
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 5
    for (int t = 0; t < T; ++t) sum[o][t] = set_f32(bias[o]);
  }
  const int64_t step = p.stride * kLaneFloats;
  for (int64_t channel = 0; channel < p.in_channels; ++channel) {
    const float* from = x + channel * p.in_row;
    for (int64_t tap = 0; tap < p.taps; ++tap, from += kLaneFloats, weight += O) {
      F32 in[T];
#pragma GCC unroll 5
      for (int t = 0; t < T; ++t) in[t] = load_f32(from + t * step);
#pragma GCC unroll 5
      for (int o = 0; o < O; ++o) {
        const F32 w = set_f32(weight[o]);
#pragma GCC unroll 5
        for (int t = 0; t < T; ++t) sum[o][t] = madd(w, in[t], sum[o][t]);
      }
    }
  }
#pragma GCC unroll 5
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 5
    for (int t = 0; t < T; ++t)
      store_f32(activated(sum[o][t], p.activation, p.slope), out + o * p.out_row + t * p.out_step * kLaneFloats);
  }
}

template <int O>
inline void channels(const LaneConv& p, int64_t begin, int64_t end, const float* x, const float* weight,
                     const float* bias, float* out) {
  const int64_t in_step = p.stride * kLaneFloats, out_step = p.out_step * kLaneFloats;
  int64_t t = begin;
  for (; t + kPositionTile <= end; t += kPositionTile)
    block<O, kPositionTile>(p, x + t * in_step, weight, bias, out + t * out_step);
  for (; t < end; ++t) block<O, 1>(p, x + t * in_step, weight, bias, out + t * out_step);
}

}  // namespace

void conv1d_lanes(const LaneConv& p, const float* x, const float* packed, const float* bias, float* out) {
  const int64_t position = p.in_channels * p.stride * kLaneFloats * static_cast<int64_t>(sizeof(float));
  int64_t chunk = kChunkBytes / (position ? position : 1) / kPositionTile * kPositionTile;
  if (chunk < 2 * kPositionTile) chunk = 2 * kPositionTile;
  const int64_t sum_length = p.in_channels * p.taps;
  for (int64_t begin = 0; begin < p.count; begin += chunk) {
    const int64_t end = begin + chunk < p.count ? begin + chunk : p.count;
    for (int64_t o = 0; o < p.out_channels; o += kChannelBlock) {
      const float* weight = packed + o * sum_length;
      float* to = out + o * p.out_row;
      switch (p.out_channels - o) {
        case 1:
          channels<1>(p, begin, end, x, weight, bias + o, to);
          break;
        case 2:
          channels<2>(p, begin, end, x, weight, bias + o, to);
          break;
        case 3:
          channels<3>(p, begin, end, x, weight, bias + o, to);
          break;
        case 4:
          channels<4>(p, begin, end, x, weight, bias + o, to);
          break;
        default:
          channels<5>(p, begin, end, x, weight, bias + o, to);
      }
    }
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

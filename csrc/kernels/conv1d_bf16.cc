// One-dimensional convolutions of bfloat16 pairs of input channels, a sample a lane.
#include "kernels/declarations.h"
#include "kernels/lane_activation.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kLaneCount = static_cast<int64_t>(kFloatLanes);

// O output channels at T positions.
template <int O, int T>
inline void block(const LaneConv& p, const bfloat16_pair* x, const bfloat16_pair* weight, const float* bias,
                  float* out) {
  F32 sum[O][T];
#pragma GCC unroll 4
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 5
    for (int t = 0; t < T; ++t) sum[o][t] = set_f32(bias[o]);
  }
  const int64_t step = p.stride * kLaneCount;
  for (int64_t pair = 0; pair < (p.in_channels + 1) / 2; ++pair) {
    const bfloat16_pair* from = x + pair * p.in_row;
    for (int64_t tap = 0; tap < p.taps; ++tap, from += kLaneCount, weight += O) {
      Pairs in[T];
#pragma GCC unroll 5
      for (int t = 0; t < T; ++t) in[t] = load_pairs(from + t * step);
#pragma GCC unroll 4
      for (int o = 0; o < O; ++o) {
        const Pairs w = set_pairs(weight[o]);
#pragma GCC unroll 5
        for (int t = 0; t < T; ++t) sum[o][t] = dot_pairs(w, in[t], sum[o][t]);
      }
    }
  }
#pragma GCC unroll 4
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 5
    for (int t = 0; t < T; ++t)
      store_f32(activated(sum[o][t], p.activation, p.slope), out + o * p.out_row + t * p.out_step * kLaneCount);
  }
}

template <int O>
inline void channels(const LaneConv& p, const bfloat16_pair* x, const bfloat16_pair* weight, const float* bias,
                     float* out) {
  const int64_t in_step = p.stride * kLaneCount, out_step = p.out_step * kLaneCount;
  int64_t t = 0;
  for (; t + kPositionTile <= p.count; t += kPositionTile)
    block<O, kPositionTile>(p, x + t * in_step, weight, bias, out + t * out_step);
  for (; t < p.count; ++t) block<O, 1>(p, x + t * in_step, weight, bias, out + t * out_step);
}

}  // namespace

void conv1d_lanes_bf16(const LaneConv& p, const bfloat16_pair* x, const bfloat16_pair* packed, const float* bias,
                       float* out) {
  const int64_t sum_length = (p.in_channels + 1) / 2 * p.taps;
  for (int64_t o = 0; o < p.out_channels; o += kPairBlock) {
    const bfloat16_pair* weight = packed + o * sum_length;
    float* to = out + o * p.out_row;
    switch (p.out_channels - o) {
      case 1:
        channels<1>(p, x, weight, bias + o, to);
        break;
      case 2:
        channels<2>(p, x, weight, bias + o, to);
        break;
      case 3:
        channels<3>(p, x, weight, bias + o, to);
        break;
      default:
        channels<4>(p, x, weight, bias + o, to);
    }
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

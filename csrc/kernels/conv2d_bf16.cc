// Convolution of bfloat16 pairs of input channels, vectors over outputs.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kLaneCount = static_cast<int64_t>(kFloatLanes);
constexpr int kVectorTile = kFloatLanes == 16 ? 4 : 2;  // vectors whose accumulators fit the registers

inline int64_t vectors_of_row(const ConvPlane& p) { return (p.out_width + kLaneCount - 1) / kLaneCount; }

// O output channels of T vectors, number `vector` and on of the plane; a row's last vector may be cut short.
template <int O, int T>
inline void block(const ConvPlane& p, const bfloat16_pair* x, const bfloat16_pair* packed, int64_t vector, float* out) {
  const int64_t per_row = vectors_of_row(p), taps = p.kernel_height * p.kernel_width;
  const bfloat16_pair* from[T];
  F32 sum[O][T];
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) {
    from[t] = x + (vector + t) / per_row * p.in_width + (vector + t) % per_row * kLaneCount;
#pragma GCC unroll 4
    for (int o = 0; o < O; ++o) sum[o][t] = set_f32(0.0f);
  }
  for (int64_t pair = 0; pair < (p.in_channels + 1) / 2; ++pair) {
    const int64_t plane = pair * p.in_height * p.in_width;
    for (int64_t tap = 0; tap < taps; ++tap) {
      const bfloat16_pair* weight = packed + (pair * taps + (p.flip ? taps - 1 - tap : tap)) * O;
      const int64_t at = plane + tap / p.kernel_width * p.in_width + tap % p.kernel_width;
      Pairs in[T];
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) in[t] = load_pairs(from[t] + at);
#pragma GCC unroll 4
      for (int o = 0; o < O; ++o) {
        const Pairs w = set_pairs(weight[o]);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) sum[o][t] = dot_pairs(w, in[t], sum[o][t]);
      }
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) {
    const int64_t y = (vector + t) / per_row, first = (vector + t) % per_row * kLaneCount;
    const int64_t count = p.out_width - first < kLaneCount ? p.out_width - first : kLaneCount;
#pragma GCC unroll 4
    for (int o = 0; o < O; ++o) {
      float* to = out + (o * p.out_height + y) * p.out_width + first;
      if (count == kLaneCount) {
        store_f32(sum[o][t], to);
      } else {
        float part[kFloatLanes];
        store_f32(sum[o][t], part);
        __builtin_memcpy(to, part, static_cast<size_t>(count) * sizeof(float));
      }
    }
  }
}

template <int O>
inline void channels(const ConvPlane& p, const bfloat16_pair* x, const bfloat16_pair* packed, float* out) {
  const int64_t vectors = p.out_height * vectors_of_row(p);
  int64_t vector = 0;
  for (; vector + kVectorTile <= vectors; vector += kVectorTile) block<O, kVectorTile>(p, x, packed, vector, out);
  for (; vector < vectors; ++vector) block<O, 1>(p, x, packed, vector, out);
}

}  // namespace

void conv2d_bf16(const ConvPlane& p, int64_t out_channels, const bfloat16_pair* x, const bfloat16_pair* packed,
                 float* out) {
  switch (out_channels) {
    case 1:
      return channels<1>(p, x, packed, out);
    case 2:
      return channels<2>(p, x, packed, out);
    case 3:
      return channels<3>(p, x, packed, out);
    default:
      return channels<4>(p, x, packed, out);
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

// Convolutions of any kernel as sums of products, vectors over positions of the flattened plane.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);

// O output channels at V vectors of positions.
template <int O, int V>
void block(const ConvPlane& p, const float* x, const float* weight, float* out, int64_t out_row) {
  F32 sum[O][V];
#pragma GCC unroll 6
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[o][v] = set_f32(0.0f);
  }
  const int64_t taps = p.kernel_height * p.kernel_width, filter = p.in_channels * taps;
  const int64_t plane = p.in_height * p.in_width, step = p.flip ? -1 : 1;
  for (int64_t c = 0; c < p.in_channels; ++c, x += plane, weight += taps) {
    const float* w = p.flip ? weight + taps - 1 : weight;
    for (int64_t y = 0; y < p.kernel_height; ++y) {
      const float* from = x + y * p.in_width;
      for (int64_t k = 0; k < p.kernel_width; ++k, w += step, ++from) {
        F32 in[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) in[v] = load_f32(from + v * kWidth);
#pragma GCC unroll 6
        for (int o = 0; o < O; ++o) {
          const F32 one = set_f32(w[o * filter]);
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) sum[o][v] = madd(one, in[v], sum[o][v]);
        }
      }
    }
  }
#pragma GCC unroll 6
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store_f32(sum[o][v], out + o * out_row + v * kWidth);
  }
}

template <int O>
void positions(const ConvPlane& p, const float* x, const float* weight, int64_t count, float* out, int64_t out_row) {
  int64_t e = 0;
  for (; e + kMatmulVectors * kWidth <= count; e += kMatmulVectors * kWidth)
    block<O, kMatmulVectors>(p, x + e, weight, out + e, out_row);
  for (; e < count; e += kWidth) block<O, 1>(p, x + e, weight, out + e, out_row);
}

}  // namespace

void direct2d(const ConvPlane& p, int64_t out_channels, const float* x, const float* weight, int64_t count, float* out,
              int64_t out_row) {
  const int64_t filter = p.in_channels * p.kernel_height * p.kernel_width;
  for (int64_t o = 0; o < out_channels;
       o += kMatmulRows, weight += kMatmulRows * filter, out += kMatmulRows * out_row) {
    switch (out_channels - o) {
      case 1:
        positions<1>(p, x, weight, count, out, out_row);
        break;
      case 2:
        positions<2>(p, x, weight, count, out, out_row);
        break;
      case 3:
        positions<3>(p, x, weight, count, out, out_row);
        break;
      case 4:
        positions<4>(p, x, weight, count, out, out_row);
        break;
      case 5:
        positions<(kMatmulRows > 4 ? 5 : kMatmulRows)>(p, x, weight, count, out, out_row);
        break;
      default:
        positions<kMatmulRows>(p, x, weight, count, out, out_row);
    }
  }
}

// In float64 without fused products, so alike in every variant.
void demodulation(const double* energies, int64_t channels, const float* styles, float* factors) {
  double sum[kChannelBlock] = {};
  for (int64_t c = 0; c < channels; ++c, energies += kChannelBlock) {
    const double square = static_cast<double>(styles[c]) * styles[c];
    for (int64_t k = 0; k < kChannelBlock; ++k) sum[k] += square * energies[k];
  }
  for (int64_t k = 0; k < kChannelBlock; ++k) factors[k] = static_cast<float>(1.0 / __builtin_sqrt(sum[k] + 1e-8));
}

}  // namespace DSB_VARIANT
}  // namespace dsb

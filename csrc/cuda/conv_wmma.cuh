// The implicit matrix product of float16 and bfloat16 on the matrix units, with float32 sums.
#pragma once

#include <mma.h>

#include "cuda/conv_tiles.cuh"

namespace dsb {
namespace cuda {

// bfloat16 has matrix units from compute capability 8.0 on; below, the kernel is never launched.
template <typename T>
__device__ constexpr bool has_matrix_units() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  return std::is_same<T, Half>::value;
#else
  return true;
#endif
}

template <typename T>
struct MatrixType {
  using type = __half;
};
template <>
struct MatrixType<BFloat16> {
  using type = __nv_bfloat16;
};

template <typename Unit, typename T>
__device__ const Unit* as_units(const T* stored) {
  return reinterpret_cast<const Unit*>(stored);
}

// Eight warps have 32 x (kColumns / 2) of the 128 x kColumns outputs each, in fragments of 16 x 16.
template <typename T, int kColumns>
struct MatrixTile {
  static constexpr int kRows = 128, kDepth = 32, kPad = 8;  // padding: neighbouring rows in other banks
  static constexpr int kWarps = kConvThreads / 32;
  static constexpr int kAcross = kColumns / 32;
  union Shared {
    struct {
      T a[2][kRows][kDepth + kPad];
      T b[2][kDepth][kColumns + kPad];
    } operands;
    float sums[kWarps][16][16 * kAcross + 4];  // of half a warp's rows, once the operands are done with
  };
};

template <typename T, int kColumns, bool kVector>
__global__ void __launch_bounds__(kConvThreads) conv_wmma(ConvCall<T> call) {
  if constexpr (has_matrix_units<T>()) {
    namespace wmma = nvcuda::wmma;
    using Tile = MatrixTile<T, kColumns>;
    using Unit = typename MatrixType<T>::type;
    constexpr int kRows = Tile::kRows, kDepth = Tile::kDepth;
    __shared__ __align__(32) typename Tile::Shared shared;
    __shared__ RowTable<kRows> rows;
    auto& a = shared.operands.a;
    auto& b = shared.operands.b;
    const ConvGeometry& g = call.geometry;
    const ConvPhase phase = g.phase(blockIdx.z);
    const int first_row = blockIdx.x * kRows, first_column = blockIdx.y * kColumns;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int warp_row = warp / 2 * 32, warp_column = warp % 2 * (kColumns / 2);
    rows.fill(g, phase, first_row);
    __syncthreads();

    const T* weights = call.weights(phase.index);
    InputTile<T, kRows, kDepth, kVector> x;
    WeightTile<T, kDepth, kColumns> w;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum[2][Tile::kAcross];
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < Tile::kAcross; ++j) wmma::fill_fragment(sum[i][j], 0.0f);

    x.load(call, rows, 0);
    w.load(g, weights, 0, first_column);
    int buffer = 0;
    for (int k = 0; k < g.depth(); k += kDepth) {
      x.store(g, [&](int row, int depth, const auto& group) {
        using Group = std::decay_t<decltype(group)>;
        *reinterpret_cast<Group*>(&a[buffer][row][depth]) = group;
      });
      w.store([&](int depth, int column, const Pack<T>& pack) {
        *reinterpret_cast<Pack<T>*>(&b[buffer][depth][column]) = pack;
      });
      __syncthreads();
      if (k + kDepth < g.depth()) {
        x.load(call, rows, k + kDepth);
        w.load(g, weights, k + kDepth, first_column);
      }
#pragma unroll
      for (int depth = 0; depth < kDepth; depth += 16) {
        wmma::fragment<wmma::matrix_a, 16, 16, 16, Unit, wmma::row_major> left[2];
        wmma::fragment<wmma::matrix_b, 16, 16, 16, Unit, wmma::row_major> right[Tile::kAcross];
#pragma unroll
        for (int i = 0; i < 2; ++i)
          wmma::load_matrix_sync(left[i], as_units<Unit>(&a[buffer][warp_row + 16 * i][depth]), kDepth + Tile::kPad);
#pragma unroll
        for (int j = 0; j < Tile::kAcross; ++j)
          wmma::load_matrix_sync(right[j], as_units<Unit>(&b[buffer][depth][warp_column + 16 * j]),
                                 kColumns + Tile::kPad);
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int j = 0; j < Tile::kAcross; ++j) wmma::mma_sync(sum[i][j], left[i], right[j], sum[i][j]);
      }
      buffer ^= 1;
    }
    __syncthreads();

    auto& mine = shared.sums[warp];
#pragma unroll 1
    for (int pass = 0; pass < 2; ++pass) {
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < Tile::kAcross; ++j)
          if (i == pass)
            wmma::store_matrix_sync(&mine[0][16 * j], sum[i][j], 16 * Tile::kAcross + 4, wmma::mem_row_major);
      __syncwarp();
      store_sums(call, phase, mine, first_row + warp_row + 16 * pass, first_column + warp_column, lane, 32);
      __syncwarp();
    }
  }
}

}  // namespace cuda
}  // namespace dsb

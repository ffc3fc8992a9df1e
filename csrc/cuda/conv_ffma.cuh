// The implicit matrix product on the ordinary float32 units: no TF32, sums in the order of k.
#pragma once

#include "cuda/conv_tiles.cuh"

namespace dsb {
namespace cuda {

// A thread has kRows / 16 rows and kColumns / 16 columns of the tile, in fours, 64 apart.
template <int kRows, int kColumns, bool kVector>
struct OrdinaryTile {
  static constexpr int kDepth = kVector ? 16 : 8, kPad = 4, kStored = 64;  // single loads take more registers
  union Shared {
    struct {
      float a[2][kDepth][kRows + kPad];
      float b[2][kDepth][kColumns + kPad];
    } operands;
    float sums[kStored][kColumns + kPad];  // of four rows of each thread, once the operands are done with
  };
};

template <typename T, int kRows, int kColumns, bool kVector>
__global__ void __launch_bounds__(kConvThreads) conv_ffma(ConvCall<T> call) {
  using Tile = OrdinaryTile<kRows, kColumns, kVector>;
  constexpr int kDepth = Tile::kDepth, kMine = kRows / 16, kMyColumns = kColumns / 16;
  __shared__ __align__(16) typename Tile::Shared shared;
  auto& a = shared.operands.a;
  auto& b = shared.operands.b;
  __shared__ RowTable<kRows> rows;
  const ConvGeometry& g = call.geometry;
  const ConvPhase phase = g.phase(blockIdx.z);
  const int first_row = blockIdx.x * kRows, first_column = blockIdx.y * kColumns;
  const int mine_y = threadIdx.x / 16, mine_x = threadIdx.x % 16;
  rows.fill(g, phase, first_row);
  __syncthreads();

  const T* weights = call.weights(phase.index);
  InputTile<T, kRows, kDepth, kVector> x;
  WeightTile<T, kDepth, kColumns> w;
  float sum[kMine][kMyColumns] = {};
  const auto row_of = [&](int i) { return i / 4 * 64 + mine_y * 4 + i % 4; };
  const auto column_of = [&](int j) {
    return kMyColumns < 4 ? mine_x * kMyColumns + j : j / 4 * 64 + mine_x * 4 + j % 4;
  };

  x.load(call, rows, 0);
  w.load(g, weights, 0, first_column);
  int buffer = 0;
  for (int k = 0; k < g.depth(); k += kDepth) {
    x.store(g, [&](int row, int depth, const auto& group) {
#pragma unroll
      for (int i = 0; i < decltype(x)::kWidth; ++i) a[buffer][depth + i][row] = to_float(group.values[i]);
    });
    w.store([&](int depth, int column, const Pack<T>& pack) {
#pragma unroll
      for (int i = 0; i < Pack<T>::kSize; ++i) b[buffer][depth][column + i] = to_float(pack.values[i]);
    });
    __syncthreads();
    if (k + kDepth < g.depth()) {
      x.load(call, rows, k + kDepth);
      w.load(g, weights, k + kDepth, first_column);
    }
#pragma unroll
    for (int depth = 0; depth < kDepth; ++depth) {
      float left[kMine], right[kMyColumns];
#pragma unroll
      for (int i = 0; i < kMine; ++i) left[i] = a[buffer][depth][row_of(i)];
#pragma unroll
      for (int j = 0; j < kMyColumns; ++j) right[j] = b[buffer][depth][column_of(j)];
#pragma unroll
      for (int i = 0; i < kMine; ++i)
#pragma unroll
        for (int j = 0; j < kMyColumns; ++j) sum[i][j] = fmaf(left[i], right[j], sum[i][j]);
    }
    buffer ^= 1;
  }

#pragma unroll 1
  for (int pass = 0; pass < kMine / 4; ++pass) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kMine; ++i)
#pragma unroll
      for (int j = 0; j < kMyColumns; ++j)
        if (i / 4 == pass) shared.sums[mine_y * 4 + i % 4][column_of(j)] = sum[i][j];
    __syncthreads();
    store_sums(call, phase, shared.sums, first_row + pass * Tile::kStored, first_column, threadIdx.x, kConvThreads);
  }
}

}  // namespace cuda
}  // namespace dsb

// How the blocks of a convolution bring tiles of its operands from memory into shared memory.
#pragma once

#include <type_traits>

#include "cuda/conv.h"

namespace dsb {
namespace cuda {

constexpr int kConvThreads = 256;

// T in groups of 16 bytes.
template <typename T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / sizeof(T);
  T values[kSize];
};

// What the rows of a tile have in common with each other and over the whole sum.
template <int kRows>
struct RowTable {
  ConvPoint origin[kRows];

  __device__ void fill(const ConvGeometry& g, const ConvPhase& phase, int first) {
    for (int row = threadIdx.x; row < kRows; row += kConvThreads)
      // A row beyond the last reads outside the input, which is 0.
      origin[row] = first + row < g.rows() ? g.origin(g.point(first + row), phase) : ConvPoint{0, -(1 << 29), 0};
  }
};

// Loads a tile of kRows x kDepth of x, styled, into registers, and from there into shared memory.
// kVector: channels are neighbours, their number is a multiple of 16 bytes, and x is aligned to 16 bytes.
template <typename T, int kRows, int kDepth, bool kVector>
struct InputTile {
  static constexpr int kWidth = kVector ? Pack<T>::kSize : 1;
  static constexpr int kGroups = kRows * kDepth / kWidth;
  static constexpr int kLoads = (kGroups + kConvThreads - 1) / kConvThreads;
  struct alignas(kWidth * sizeof(T)) Group {
    T values[kWidth];
  };
  Group groups[kLoads];

  // Neighbouring threads read what lies side by side: channels, or else points.
  static __device__ void place(int group, bool along_channels, int* row, int* depth) {
    if (kVector || along_channels) {
      *row = group / (kDepth / kWidth), *depth = group % (kDepth / kWidth) * kWidth;
    } else {
      *row = group % kRows, *depth = group / kRows;
    }
  }

  __device__ void load(const ConvCall<T>& call, const RowTable<kRows>& rows, int first) {
    const ConvGeometry& g = call.geometry;
    const bool along_channels = g.in.channel == 1;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int group = i * kConvThreads + threadIdx.x;
      if (kGroups % kConvThreads != 0 && group >= kGroups) break;
      int row, depth;
      place(group, along_channels, &row, &depth);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) groups[i].values[j] = from_float<T>(0.0f);
      if (first + depth >= g.depth()) continue;
      const ConvPoint origin = rows.origin[row];
      if constexpr (kVector) {
        int channel;
        int64_t offset;
        if (!g.source(origin, first + depth, &channel, &offset)) continue;
        groups[i] = *reinterpret_cast<const Group*>(call.x + offset);
        if (!call.styles) continue;
        const float* styles = call.styles + static_cast<int64_t>(origin.n) * g.in_channels + channel;
#pragma unroll
        for (int j = 0; j < kWidth; ++j) groups[i].values[j] = from_float<T>(to_float(groups[i].values[j]) * styles[j]);
      } else {
        groups[i].values[0] = from_float<T>(call.input(origin, first + depth));
      }
    }
  }

  // tile(row, depth, group) puts a group away.
  template <typename Tile>
  __device__ void store(const ConvGeometry& g, const Tile& tile) const {
    const bool along_channels = g.in.channel == 1;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int group = i * kConvThreads + threadIdx.x;
      if (kGroups % kConvThreads != 0 && group >= kGroups) break;
      int row, depth;
      place(group, along_channels, &row, &depth);
      tile(row, depth, groups[i]);
    }
  }
};

// Loads a tile of kDepth x kColumns of the packed weights, whose rows are a multiple of kPackedChannels long.
template <typename T, int kDepth, int kColumns>
struct WeightTile {
  static constexpr int kWidth = Pack<T>::kSize < kPackedChannels ? Pack<T>::kSize : kPackedChannels;
  static constexpr int kGroups = kDepth * kColumns / kWidth;
  static constexpr int kLoads = (kGroups + kConvThreads - 1) / kConvThreads;
  Pack<T> groups[kLoads];

  __device__ void load(const ConvGeometry& g, const T* weights, int first, int column) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int group = i * kConvThreads + threadIdx.x;
      if (kGroups % kConvThreads != 0 && group >= kGroups) break;
      const int depth = first + group / (kColumns / kWidth), at = column + group % (kColumns / kWidth) * kWidth;
      if (depth < g.depth() && at < g.padded_channels) {
        const T* from = weights + static_cast<int64_t>(depth) * g.padded_channels + at;
        groups[i] = *reinterpret_cast<const Pack<T>*>(from);
      } else {
#pragma unroll
        for (int j = 0; j < kWidth; ++j) groups[i].values[j] = from_float<T>(0.0f);
      }
    }
  }

  template <typename Tile>
  __device__ void store(const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int group = i * kConvThreads + threadIdx.x;
      if (kGroups % kConvThreads != 0 && group >= kGroups) break;
      const int depth = group / (kColumns / kWidth), at = group % (kColumns / kWidth) * kWidth;
      tile(depth, at, groups[i]);
    }
  }
};

// Stores kHeight rows of sums from shared memory, of which the caller's `threads` take part with ids from 0 on.
// Neighbouring threads write neighbouring channels, or points where those lie side by side. The one place where a
// kernel has the epilogue's code: in a thread's unrolled loop it would be most of the kernel.
template <typename T, int kHeight, int kPitch>
__device__ void store_sums(const ConvCall<T>& call, const ConvPhase& phase, const float (&sums)[kHeight][kPitch],
                           int first_row, int first_column, int id, int threads) {
  constexpr int kColumns = kPitch - 4;
  const ConvGeometry& g = call.geometry;
  const bool along_channels = g.out.channel == 1;
#pragma unroll 1
  for (int i = id; i < kHeight * kColumns; i += threads) {
    const int row = along_channels ? i / kColumns : i % kHeight, column = along_channels ? i % kColumns : i / kHeight;
    ConvPoint to;
    if (first_row + row >= g.rows() || first_column + column >= g.out_channels) continue;
    if (g.target(g.point(first_row + row), phase, &to))
      call.epilogue.store(g, to, first_column + column, sums[row][column]);
  }
}

}  // namespace cuda
}  // namespace dsb

// for_each(count, body): body(k) for every k below count, in any order; on the device by a grid-stride loop.
//
// for_each_tile(tiles, floats, body): for every tile, body.first(tile, k, memory) for all k below body.first_items,
// then body.second(tile, k, memory) likewise; memory, of `floats` floats, is shared by a tile's items and aligned to 16
// bytes.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/host_device.h"
#include "cuda/kernels.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include "cuda/tile_loop.cuh"
#endif

namespace dsb {
namespace cuda {

constexpr uint64_t kMaxIndices = 0xFFFFFFFFull;  // 32-bit divisions cost a third of 64-bit ones
constexpr unsigned kBlock = 256, kMaxGrid = 1u << 22;
constexpr unsigned kBlocks = 3;  // a multiprocessor; without a number ptxas spills registers of some kernels for more

inline uint64_t checked(uint64_t count) {
  if (count > kMaxIndices)
    throw std::length_error("a GPU kernel was asked for " + std::to_string(count) + " vectors; a smaller batch works");
  return count;
}

#ifdef __CUDACC__

inline cudaStream_t stream_of(Stream stream) { return static_cast<cudaStream_t>(stream); }

inline void check(cudaError_t status) {
  if (status != cudaSuccess)
    throw std::runtime_error(std::string("CUDA refused a kernel: ") + cudaGetErrorString(status) +
                             "; the device may be out of memory or have failed earlier");
}

template <class Body>
__global__ void __launch_bounds__(kBlock, kBlocks) loop(uint64_t count, const Body body) {
  for (uint64_t k = blockIdx.x * static_cast<uint64_t>(kBlock) + threadIdx.x; k < count;
       k += static_cast<uint64_t>(gridDim.x) * kBlock)
    body(static_cast<uint32_t>(k));
}

template <class Body>
void for_each(uint64_t count, const Body& body, Stream stream) {
  if (checked(count) == 0) return;
  const uint64_t blocks = (count + kBlock - 1) / kBlock;
  const unsigned grid = static_cast<unsigned>(blocks < kMaxGrid ? blocks : kMaxGrid);
  loop<<<grid, kBlock, 0, stream_of(stream)>>>(count, body);
  check(cudaGetLastError());
}

template <class Body>
__global__ void __launch_bounds__(kBlock, kBlocks) tile_loop(uint64_t tiles, const Body body) {
  extern __shared__ float4 memory[];
  run_tiles(tiles, kBlock, body, reinterpret_cast<float*>(memory));
}

template <class Body>
void for_each_tile(uint64_t tiles, size_t floats, const Body& body, Stream stream) {
  if (checked(tiles) == 0) return;
  const unsigned grid = static_cast<unsigned>(tiles < kMaxGrid ? tiles : kMaxGrid);
  tile_loop<<<grid, kBlock, floats * sizeof(float), stream_of(stream)>>>(tiles, body);
  check(cudaGetLastError());
}

inline void zero(int32_t* number, Stream stream) {
  check(cudaMemsetAsync(number, 0, sizeof *number, stream_of(stream)));
}

#else

template <class Body>
void for_each(uint64_t count, const Body& body, Stream) {
  checked(count);
  for (uint64_t k = 0; k < count; ++k) body(static_cast<uint32_t>(k));
}

template <class Body>
void for_each_tile(uint64_t tiles, size_t floats, const Body& body, Stream) {
  checked(tiles);
  std::vector<float> memory(floats);
  for (uint64_t tile = 0; tile < tiles; ++tile) {
    for (uint32_t k = 0; k < body.first_items; ++k) body.first(static_cast<uint32_t>(tile), k, memory.data());
    for (uint32_t k = 0; k < body.second_items; ++k) body.second(static_cast<uint32_t>(tile), k, memory.data());
  }
}

inline void zero(int32_t* number, Stream) { *number = 0; }

#endif

}  // namespace cuda
}  // namespace dsb

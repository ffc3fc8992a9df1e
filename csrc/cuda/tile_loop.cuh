// A block's part of for_each_tile (launch.h): the tiles from its own number on, in steps of the grid.
#pragma once

#include <cstdint>

namespace dsb {
namespace cuda {

template <class Body>
__device__ void run_tiles(uint64_t tiles, unsigned threads, const Body& body, float* memory) {
  for (uint64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    for (uint32_t k = threadIdx.x; k < body.first_items; k += threads)
      body.first(static_cast<uint32_t>(tile), k, memory);
    __syncthreads();
    for (uint32_t k = threadIdx.x; k < body.second_items; k += threads)
      body.second(static_cast<uint32_t>(tile), k, memory);
    __syncthreads();
  }
}

}  // namespace cuda
}  // namespace dsb

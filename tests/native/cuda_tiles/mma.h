// Stands for CUDA's header of that name: every thread of a warp has, and computes, whole fragments.
#pragma once

#include "cuda/storage.h"

struct __half {
  dsb::cuda::Half stored;
};
struct __nv_bfloat16 {
  dsb::cuda::BFloat16 stored;
};

namespace nvcuda {
namespace wmma {

struct accumulator;
struct matrix_a;
struct matrix_b;
struct row_major;
enum layout_t { mem_row_major };

template <typename Use, int kM, int kN, int kK, typename T, typename Layout = void>
struct fragment {
  static_assert(kM == 16 && kN == 16 && kK == 16, "the shape that the kernels use");
  float values[16][16];
};

template <typename Fragment>
void fill_fragment(Fragment& to, float value) {
  for (auto& row : to.values)
    for (float& v : row) v = value;
}

template <typename Fragment, typename T>
void load_matrix_sync(Fragment& to, const T* from, unsigned pitch) {
  if (reinterpret_cast<uintptr_t>(from) % 32 != 0 || pitch * sizeof(T) % 16 != 0) std::abort();  // CUDA's rules
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) to.values[i][j] = dsb::cuda::to_float(from[i * pitch + j].stored);
}

template <typename C, typename A, typename B>
void mma_sync(C& to, const A& a, const B& b, const C& c) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      float sum = c.values[i][j];
      for (int k = 0; k < 16; ++k) sum += a.values[i][k] * b.values[k][j];
      to.values[i][j] = sum;
    }
}

// Thread by thread a part of the rows, so that nothing is written twice.
template <typename Fragment>
void store_matrix_sync(float* to, const Fragment& from, unsigned pitch, layout_t) {
  if (reinterpret_cast<uintptr_t>(to) % 32 != 0 || pitch % 4 != 0) std::abort();
  const unsigned lane = threadIdx.x % 32;
  if (lane >= 16) return;
  for (int j = 0; j < 16; ++j) to[lane * pitch + j] = from.values[lane][j];
}

}  // namespace wmma
}  // namespace nvcuda

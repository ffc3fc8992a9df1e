// What lets one source be a CUDA kernel and a plain loop: bodies of (index, parameters) that nvcc compiles for both
// sides, and any C++17 compiler for the host, where the tests run them.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define DSB_HD __host__ __device__ __forceinline__
#define DSB_UNROLL _Pragma("unroll")
#else
#define DSB_HD inline
#define DSB_UNROLL
#endif

namespace dsb {
namespace cuda {

// Products and sums that are rounded on their own whatever the compiler's flags: nvcc would fuse a * b + c.
DSB_HD float product(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

DSB_HD float sum(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}

DSB_HD double product(double a, double b) {
#ifdef __CUDA_ARCH__
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

DSB_HD double sum(double a, double b) {
#ifdef __CUDA_ARCH__
  return __dadd_rn(a, b);
#else
  return a + b;
#endif
}

DSB_HD double difference(double a, double b) { return sum(a, -b); }

template <class To, class From>
DSB_HD To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits are neither lost nor made");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace cuda
}  // namespace dsb

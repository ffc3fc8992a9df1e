// How tensors are stored: float, float16 or bfloat16, read and written V at a time; all arithmetic is float's.
#pragma once

#include "cuda/host_device.h"
#include "cuda/kernels.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace dsb {
namespace cuda {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

DSB_HD float to_float(float v) { return v; }

DSB_HD float to_float(Half v) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(v.bits));
#else
  const uint32_t sign = static_cast<uint32_t>(v.bits & 0x8000u) << 16, rest = v.bits & 0x7FFFu;
  if (rest >= 0x7C00u) return bits_as<float>(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
  // The exponent is 112 less than float's; a product with 2^112 sets that right, denormals included.
  return bits_as<float>(sign | bits_as<uint32_t>(bits_as<float>(rest << 13) * 0x1p112f));
#endif
}

DSB_HD float to_float(BFloat16 v) { return bits_as<float>(static_cast<uint32_t>(v.bits) << 16); }

template <class T>
DSB_HD T from_float(float v);

template <>
DSB_HD float from_float<float>(float v) {
  return v;
}

// To the nearest, ties to even; beyond the largest number to infinity.
template <>
DSB_HD Half from_float<Half>(float v) {
#ifdef __CUDA_ARCH__
  return {__half_as_ushort(__float2half_rn(v))};
#else
  const uint32_t bits = bits_as<uint32_t>(v), sign = bits >> 16 & 0x8000u, rest = bits & 0x7FFFFFFFu;
  uint32_t made;
  if (rest > 0x7F800000u) {
    made = 0x7E00u;
  } else if (rest >= 0x477FF000u) {
    made = 0x7C00u;
  } else if (rest < 0x38800000u) {  // a denormal: the sum's last bit is worth 2^-24
    made = bits_as<uint32_t>(bits_as<float>(rest) + 0.5f) - 0x3F000000u;
  } else {
    made = (rest - 0x38000000u + 0xFFFu + (rest >> 13 & 1u)) >> 13;
  }
  return {static_cast<uint16_t>(sign | made)};
#endif
}

template <>
DSB_HD BFloat16 from_float<BFloat16>(float v) {
  const uint32_t bits = bits_as<uint32_t>(v);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16)};
}

// What a thread reads and writes at a time where it can: 16 bytes.
template <class T>
constexpr int kWide = static_cast<int>(16 / sizeof(T));

// Copies kBytes in accesses of up to 16 bytes; both sides are aligned to the smaller of kBytes and 16.
template <int kBytes>
DSB_HD void copy_in(const void* from, void* to) {
#ifdef __CUDA_ARCH__
  if constexpr (kBytes % 16 == 0) {
    uint4 raw[kBytes / 16];
    DSB_UNROLL
    for (int k = 0; k < kBytes / 16; ++k) raw[k] = __ldg(static_cast<const uint4*>(from) + k);
    memcpy(to, raw, kBytes);
  } else if constexpr (kBytes == 8) {
    const uint2 raw = __ldg(static_cast<const uint2*>(from));
    memcpy(to, &raw, kBytes);
  } else if constexpr (kBytes == 4) {
    const unsigned int raw = __ldg(static_cast<const unsigned int*>(from));
    memcpy(to, &raw, kBytes);
  } else {
    static_assert(kBytes == 2, "a vector has 2, 4, 8 or a multiple of 16 bytes");
    const unsigned short raw = __ldg(static_cast<const unsigned short*>(from));
    memcpy(to, &raw, kBytes);
  }
#else
  memcpy(to, from, kBytes);
#endif
}

template <int kBytes>
DSB_HD void copy_out(const void* from, void* to) {
#ifdef __CUDA_ARCH__
  if constexpr (kBytes % 16 == 0) {
    uint4 raw[kBytes / 16];
    memcpy(raw, from, kBytes);
    DSB_UNROLL
    for (int k = 0; k < kBytes / 16; ++k) static_cast<uint4*>(to)[k] = raw[k];
  } else if constexpr (kBytes == 8) {
    uint2 raw;
    memcpy(&raw, from, kBytes);
    *static_cast<uint2*>(to) = raw;
  } else if constexpr (kBytes == 4) {
    unsigned int raw;
    memcpy(&raw, from, kBytes);
    *static_cast<unsigned int*>(to) = raw;
  } else {
    unsigned short raw;
    memcpy(&raw, from, kBytes);
    *static_cast<unsigned short*>(to) = raw;
  }
#else
  memcpy(to, from, kBytes);
#endif
}

// The same for memory that the kernel itself writes.
template <int kBytes>
DSB_HD void copy_near(const void* from, void* to) {
#ifdef __CUDA_ARCH__
  if constexpr (kBytes == 16) {
    const uint4 raw = *static_cast<const uint4*>(from);
    memcpy(to, &raw, kBytes);
    return;
  }
#endif
  memcpy(to, from, kBytes);
}

// `from` is aligned to V values, or to 16 bytes if that is less.
template <int V, class T>
DSB_HD void load(const T* from, float (&to)[V]) {
  T raw[V];
  copy_in<static_cast<int>(sizeof raw)>(from, raw);
  DSB_UNROLL
  for (int k = 0; k < V; ++k) to[k] = to_float(raw[k]);
}

template <class T, int V>
DSB_HD void store(const float (&from)[V], T* to) {
  T raw[V];
  DSB_UNROLL
  for (int k = 0; k < V; ++k) raw[k] = from_float<T>(from[k]);
  copy_out<static_cast<int>(sizeof raw)>(raw, to);
}

// From an array whose type is known when the kernel runs.
template <int V>
DSB_HD void load(const Array& from, int64_t first, float (&to)[V]) {
  if (from.type == Type::float32) return load<V>(static_cast<const float*>(from.data) + first, to);
  if (from.type == Type::float16) return load<V>(static_cast<const Half*>(from.data) + first, to);
  load<V>(static_cast<const BFloat16*>(from.data) + first, to);
}

DSB_HD float load_one(const Array& from, int64_t at) {
  float value[1];
  load<1>(from, at, value);
  return value[0];
}

inline bool is_wide(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

// visit(a value of the storage type)
template <class Visit>
void with_type(Type type, Visit visit) {
  if (type == Type::float32) return visit(float{});
  if (type == Type::float16) return visit(Half{});
  visit(BFloat16{});
}

}  // namespace cuda
}  // namespace dsb

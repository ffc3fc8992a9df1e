// How tensors are stored: float, float16 or bfloat16, read and written V at a time; all arithmetic is float's.
#pragma once

#include <stdexcept>
#include <string>

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

// The host, which would not care, finds what a device would stop at: an access that its address is not aligned to.
DSB_HD void need_aligned(const void* address, int bytes) {
#ifndef __CUDA_ARCH__
  if (reinterpret_cast<uintptr_t>(address) % (bytes < 16 ? bytes : 16) != 0)
    throw std::logic_error("a GPU kernel would read or write " + std::to_string(bytes) + " bytes at an odd address");
#else
  static_cast<void>(address), static_cast<void>(bytes);
#endif
}

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
  need_aligned(from, kBytes);
  memcpy(to, from, kBytes);
#endif
}

// Writes words to the device's memory side by side, in accesses of up to 16 bytes to which `to` is aligned. Those are
// spelt out, because nvcc takes some assignments of 16 bytes apart into four.
template <int kWords>
DSB_HD void put(const uint32_t (&words)[kWords], void* to) {
#ifdef __CUDA_ARCH__
  static_assert(kWords <= 2 || kWords % 4 == 0, "a vector has 1, 2 or a multiple of 4 words");
  if constexpr (kWords == 2) *static_cast<uint2*>(to) = make_uint2(words[0], words[1]);
  if constexpr (kWords == 1) *static_cast<uint32_t*>(to) = words[0];
  if constexpr (kWords % 4 == 0) {
    DSB_UNROLL
    for (int k = 0; k < kWords; k += 4)
      asm volatile(
          "st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(static_cast<uint32_t*>(to) + k)),
          "r"(words[k]), "r"(words[k + 1]), "r"(words[k + 2]), "r"(words[k + 3]));
  }
#else
  need_aligned(to, sizeof words);
  memcpy(to, words, sizeof words);
#endif
}

// To and from a block's shared memory, aligned to 16 bytes where V is 4.
template <int V>
DSB_HD void put_shared(const float (&from)[V], float* to) {
#ifdef __CUDA_ARCH__
  if constexpr (V == 4)
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
  else
    for (int k = 0; k < V; ++k) to[k] = from[k];
#else
  for (int k = 0; k < V; ++k) to[k] = from[k];
#endif
}

template <int V>
DSB_HD void get_shared(const float* from, float (&to)[V]) {
#ifdef __CUDA_ARCH__
  if constexpr (V == 4) {
    const float4 raw = *reinterpret_cast<const float4*>(from);
    to[0] = raw.x, to[1] = raw.y, to[2] = raw.z, to[3] = raw.w;
  } else {
    for (int k = 0; k < V; ++k) to[k] = from[k];
  }
#else
  for (int k = 0; k < V; ++k) to[k] = from[k];
#endif
}

// `from` is aligned to V values, or to 16 bytes if that is less.
template <int V, class T>
DSB_HD void load(const T* from, float (&to)[V]) {
  T raw[V];
  copy_in<static_cast<int>(sizeof raw)>(from, raw);
  DSB_UNROLL
  for (int k = 0; k < V; ++k) to[k] = to_float(raw[k]);
}

// Two values in the halves of a word, the first in the lower one.
template <class T>
DSB_HD uint32_t pair(float first, float second) {
  return from_float<T>(first).bits | static_cast<uint32_t>(from_float<T>(second).bits) << 16;
}

#ifdef __CUDA_ARCH__
template <>
DSB_HD uint32_t pair<Half>(float first, float second) {
  return bits_as<uint32_t>(__floats2half2_rn(first, second));
}

template <>
DSB_HD uint32_t pair<BFloat16>(float first, float second) {
  return bits_as<uint32_t>(__floats2bfloat162_rn(first, second));
}
#endif

template <class T, int V>
DSB_HD void store(const float (&from)[V], T* to) {
  if constexpr (sizeof(T) == 4) {
    uint32_t words[V];
    DSB_UNROLL
    for (int k = 0; k < V; ++k) words[k] = bits_as<uint32_t>(from[k]);
    put(words, to);
  } else if constexpr (V == 1) {
    *to = from_float<T>(from[0]);
  } else {
    uint32_t words[V / 2];
    DSB_UNROLL
    for (int k = 0; k < V / 2; ++k) words[k] = pair<T>(from[2 * k], from[2 * k + 1]);
    put(words, to);
  }
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

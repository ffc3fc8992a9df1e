// float32 to bfloat16 and back, in whole numbers: vcvtneps2bf16 would take denormal numbers for zero.
#include "kernels/declarations.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

inline uint32_t rounded(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  const uint32_t nearest = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  const uint32_t quiet = (bits >> 16 & 0x8000u) | 0x7FC0u;
  return (bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : nearest;
}

}  // namespace

void round_bf16(const float* x, size_t count, bfloat16* out) {
  for (size_t e = 0; e < count; ++e) out[e] = static_cast<bfloat16>(rounded(x[e]));
}

void widen_bf16(const bfloat16* x, size_t count, float* out) {
  for (size_t e = 0; e < count; ++e) {
    const uint32_t bits = static_cast<uint32_t>(x[e]) << 16;
    __builtin_memcpy(out + e, &bits, sizeof bits);
  }
}

void pair_bf16(const float* first, const float* second, size_t count, bfloat16_pair* out) {
  if (second) {
    for (size_t e = 0; e < count; ++e) out[e] = rounded(first[e]) | rounded(second[e]) << 16;
  } else {
    for (size_t e = 0; e < count; ++e) out[e] = rounded(first[e]);
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

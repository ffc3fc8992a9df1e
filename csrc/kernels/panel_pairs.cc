// Panels in bfloat16: values less the centre of their plane, rounded, two of them side by side.
#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes);
constexpr int64_t kParts = 64;  // partial sums of a plane; not the vector's length, which must not change bits

// Lanes from `count` on are 0.
inline F32 centred(const float* x, int64_t count, F32 centre) {
  if (count >= kWidth) return sub(load_f32(x), centre);
  if (count <= 0) return set_f32(0.0f);
  float part[kFloatLanes] = {};
  store_first(sub(load_first(x, count), centre), count, part);
  return load_f32(part);
}

}  // namespace

float plane_centre(const float* x, int64_t count) {
  float parts[kParts] = {}, total = 0.0f;
  int64_t e = 0;
  for (; e + kParts <= count; e += kParts)
    for (int64_t k = 0; k < kParts; ++k) parts[k] += x[e + k];
  for (int64_t k = 0; e + k < count; ++k) parts[k] += x[e + k];
  for (const float part : parts) total += part;
  const float mean = total / static_cast<float>(count);
  return mean - mean == 0.0f ? mean : 0.0f;
}

void pair_channels(const float* first, const float* second, int64_t count, float first_centre, float second_centre,
                   bfloat16_pair* out) {
  const F32 low = set_f32(first_centre), high = set_f32(second_centre);
  for (int64_t e = 0; e < count; e += kChannelBlock)
    for (int64_t k = e; k < e + kChannelBlock; k += kWidth)
      store_pairs(round_pairs(centred(first + k, count - k, low),
                              second ? centred(second + k, count - k, high) : set_f32(0.0f)),
                  out + k);
}

void pair_positions(const float* x, int64_t count, float centre, bfloat16_pair* out) {
  const F32 middle = set_f32(centre);
  for (int64_t e = 0; e < count; e += 2 * kChannelBlock)
    for (int64_t k = e; k < e + 2 * kChannelBlock; k += 2 * kWidth) {
      F32 even, odd;
      const F32 here = centred(x + k, count - k, middle), next = centred(x + k + kWidth, count - k - kWidth, middle);
      deinterleave(here, next, &even, &odd);
      store_pairs(round_pairs(even, odd), out + k / 2);
    }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

// Panels in bfloat16: values less the centre of their plane, or exponentials, rounded, two of them side by side.
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

// 2^y for y <= 0 to 1e-4, which the rounding of the result hides; otherwise as exp2_f32 in elementary.h.
inline F32 exp2_rough(F32 y) {
  const F32 magic = set_f32(12582912.0f + 127.0f), least = larger(set_f32(-120.0f), y), large = add(least, magic);
  const F32 r = sub(least, sub(large, magic));
  F32 p = set_f32(0x1.c2a218p-5f);
  p = madd(p, r, set_f32(0x1.f00c4ep-3f));
  p = madd(p, r, set_f32(0x1.62f5fap-1f));
  p = madd(p, r, set_f32(1.0f));
  return mul(p, exponent_from_last_bits(large));
}

// V vectors of columns.
template <int V>
inline void softmax_pairs(const float* x, int64_t rows, int64_t row, float* largest, float* sums, float* scale,
                          bfloat16_pair* out) {
  const Pairs ones = set_pairs(0x3F803F80u);
  F32 most[V], sum[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    most[v] = load_f32(largest + v * kWidth);
    sum[v] = set_f32(0.0f);
  }
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) most[v] = larger(load_f32(x + r * row + v * kWidth), most[v]);
  }
  for (int64_t r = 0; r < rows; r += 2, x += 2 * row, out += row) {
    const bool both = r + 1 < rows;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const F32 first = exp2_rough(sub(load_f32(x + v * kWidth), most[v]));
      const F32 second = both ? exp2_rough(sub(load_f32(x + row + v * kWidth), most[v])) : set_f32(0.0f);
      const Pairs pairs = round_pairs(first, second);
      sum[v] = dot_pairs(pairs, ones, sum[v]);
      store_pairs(pairs, out + v * kWidth);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const F32 left = exp2_rough(sub(load_f32(largest + v * kWidth), most[v]));
    store_f32(left, scale + v * kWidth);
    store_f32(madd(load_f32(sums + v * kWidth), left, sum[v]), sums + v * kWidth);
    store_f32(most[v], largest + v * kWidth);
  }
}

}  // namespace

void exp2_columns_bf16(int64_t rows, int64_t columns, const float* x, float* largest, float* sums, float* scale,
                       bfloat16_pair* out) {
  int64_t c = 0;
  for (; c + 4 * kWidth <= columns; c += 4 * kWidth)
    softmax_pairs<4>(x + c, rows, columns, largest + c, sums + c, scale + c, out + c);
  for (; c < columns; c += kWidth) softmax_pairs<1>(x + c, rows, columns, largest + c, sums + c, scale + c, out + c);
}

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

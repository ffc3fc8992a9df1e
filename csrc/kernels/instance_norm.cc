#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

constexpr int64_t kParts = 16;  // partial sums of a plane; not the vector's length, which must not change bits

// The sum of terms 0..count-1: each partial sum takes every kParts-th of them in order, then they are added in order.
// term(e, rest) is a vector of terms from e on; `rest`, if not 0, is how many of its lanes there are.
template <typename Term>
inline float sum_of(int64_t count, const Term& term) {
  constexpr int64_t lanes = static_cast<int64_t>(kFloatLanes), vectors = kParts / lanes;
  F32 sums[vectors];
  for (F32& sum : sums) sum = set_f32(0.0f);
  int64_t e = 0;
  for (; e + kParts <= count; e += kParts)
    for (int64_t k = 0; k < vectors; ++k) sums[k] = add(sums[k], term(e + k * lanes, 0));
  for (int64_t k = 0; k < vectors && e < count; ++k, e += lanes) {
    if (count - e >= lanes) {
      sums[k] = add(sums[k], term(e, 0));
      continue;
    }
    float last[lanes] = {};
    store_first(term(e, count - e), count - e, last);
    sums[k] = add(sums[k], load_f32(last));
  }
  float parts[kParts], total = 0.0f;
  for (int64_t k = 0; k < vectors; ++k) store_f32(sums[k], parts + k * lanes);
  for (const float part : parts) total += part;
  return total;
}

}  // namespace

void instance_norm(const float* x, int64_t count, float gain, float bias, float eps, float* out) {
  const int64_t lanes = static_cast<int64_t>(kFloatLanes);
  const F32 number = set_f32(static_cast<float>(count));
  const auto load = [&](int64_t e, int64_t rest) { return rest ? load_first(x + e, rest) : load_f32(x + e); };
  const F32 mean = div(set_f32(sum_of(count, load)), number);
  const auto apart = [&](int64_t e, int64_t rest) { return sub(load(e, rest), mean); };
  const F32 rest_of_mean = div(set_f32(sum_of(count, apart)), number);  // what rounding left, apart as in channel_norm
  const auto centred = [&](int64_t e, int64_t rest) { return sub(apart(e, rest), rest_of_mean); };
  const auto square = [&](int64_t e, int64_t rest) { return mul(centred(e, rest), centred(e, rest)); };
  const F32 variance = div(set_f32(sum_of(count, square)), number);
  const F32 factor = div(set_f32(1.0f), square_root(add(variance, set_f32(eps))));
  for (int64_t e = 0; e < count; e += lanes) {
    const int64_t rest = count - e < lanes ? count - e : 0;
    const F32 y = madd(mul(centred(e, rest), factor), set_f32(gain), set_f32(bias));
    if (rest)
      store_first(y, rest, out + e);
    else
      store_f32(y, out + e);
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

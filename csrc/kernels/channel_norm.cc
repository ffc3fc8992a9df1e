#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {
namespace {

// One vector of positions; `rest`, if not 0, is how many of its lanes there are.
inline void positions(const float* x, int64_t channels, int64_t channel, int64_t rest, const float* gain,
                      const float* bias, float eps, bool eps_to_deviation, float* out) {
  const auto load = [&](int64_t c) { return rest ? load_first(x + c * channel, rest) : load_f32(x + c * channel); };
  const F32 number = set_f32(static_cast<float>(channels));
  F32 sum = set_f32(0.0f), squares = set_f32(0.0f);
  for (int64_t c = 0; c < channels; ++c) sum = add(sum, load(c));
  const F32 mean = div(sum, number);
  sum = set_f32(0.0f);
  for (int64_t c = 0; c < channels; ++c) sum = add(sum, sub(load(c), mean));
  const F32 rest_of_mean = div(sum, number);  // what rounding left, apart, since it may be lost in a large mean
  const auto centred = [&](int64_t c) { return sub(sub(load(c), mean), rest_of_mean); };
  for (int64_t c = 0; c < channels; ++c) {
    const F32 difference = centred(c);
    squares = madd(difference, difference, squares);
  }
  const F32 variance = div(squares, number), least = set_f32(eps);
  const F32 divisor = eps_to_deviation ? add(square_root(variance), least) : square_root(add(variance, least));
  const F32 factor = div(set_f32(1.0f), divisor);
  for (int64_t c = 0; c < channels; ++c) {
    const F32 y = madd(mul(centred(c), factor), set_f32(gain[c]), set_f32(bias[c]));
    if (rest)
      store_first(y, rest, out + c * channel);
    else
      store_f32(y, out + c * channel);
  }
}

}  // namespace

void channel_norm(const float* x, int64_t channels, int64_t channel, int64_t count, const float* gain,
                  const float* bias, float eps, bool eps_to_deviation, float* out) {
  const int64_t lanes = static_cast<int64_t>(kFloatLanes);
  int64_t e = 0;
  for (; e + lanes <= count; e += lanes)
    positions(x + e, channels, channel, 0, gain, bias, eps, eps_to_deviation, out + e);
  if (e < count) positions(x + e, channels, channel, count - e, gain, bias, eps, eps_to_deviation, out + e);
}

}  // namespace DSB_VARIANT
}  // namespace dsb

#include "kernels/declarations.h"
#include DSB_SIMD_HEADER

namespace dsb {
namespace DSB_VARIANT {

bool microvolt(const float* signal, size_t count, float scale, int16_t* out) {
  bool numbers = true;
  size_t e = 0;
  for (; e + kFloatLanes <= count; e += kFloatLanes) numbers &= store_microvolt(load_f32(signal + e), scale, out + e);
  if (e < count) {  // the last, partial vector goes through a padded copy
    float in[kFloatLanes] = {};
    int16_t last[kFloatLanes];
    __builtin_memcpy(in, signal + e, (count - e) * sizeof(float));
    numbers &= store_microvolt(load_f32(in), scale, last);
    __builtin_memcpy(out + e, last, (count - e) * sizeof(int16_t));
  }
  return numbers;
}

bool microvolt_lanes(const float* signal, int64_t length, float scale, int64_t samples, int64_t out_sample,
                     int16_t* out) {
  constexpr int64_t kLanesHere = static_cast<int64_t>(kFloatLanes), kPiece = 64;
  int16_t piece[kPiece * kLanesHere];
  bool numbers = true;
  for (int64_t t = 0; t < length; t += kPiece) {
    const int64_t count = length - t < kPiece ? length - t : kPiece;
    for (int64_t k = 0; k < count; ++k)
      numbers &= store_microvolt(load_f32(signal + (t + k) * kLanesHere), scale, piece + k * kLanesHere);
    for (int64_t lane = 0; lane < samples; ++lane) {
      int16_t* to = out + lane * out_sample + t;
      for (int64_t k = 0; k < count; ++k) to[k] = piece[k * kLanesHere + lane];
    }
  }
  return numbers;
}

}  // namespace DSB_VARIANT
}  // namespace dsb

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
  constexpr int64_t kWidth = static_cast<int64_t>(kFloatLanes), kSquares = 4, kPiece = kSquares * kWidth;
  int16_t squares[kSquares][kWidth * kWidth] = {};  // positions x samples, then samples x positions
  bool numbers = true;
  const auto fill = [&](int64_t t, int64_t count) {
    for (int64_t k = 0; k < count; ++k)
      numbers &= store_microvolt(load_f32(signal + (t + k) * kWidth), scale, squares[0] + k * kWidth);
    for (int64_t square = 0; square < kSquares; ++square) transpose_i16(squares[square]);
  };
  int64_t t = 0;
  for (; t + kPiece <= length; t += kPiece) {
    fill(t, kPiece);
    for (int64_t lane = 0; lane < samples; ++lane)
      for (int64_t square = 0; square < kSquares; ++square)
        __builtin_memcpy(out + lane * out_sample + t + square * kWidth, squares[square] + lane * kWidth,
                         kWidth * sizeof(int16_t));
  }
  fill(t, length - t);
  for (int64_t lane = 0; lane < samples; ++lane)
    for (int64_t k = 0; k < length - t; ++k)
      out[lane * out_sample + t + k] = squares[k / kWidth][lane * kWidth + k % kWidth];
  return numbers;
}

}  // namespace DSB_VARIANT
}  // namespace dsb

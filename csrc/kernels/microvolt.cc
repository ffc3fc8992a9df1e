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

}  // namespace DSB_VARIANT
}  // namespace dsb

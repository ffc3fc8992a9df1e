// The default rounding and denormal behaviour while kernels run: a host library built with -ffast-math may have set
// flush-to-zero for the whole process.
#pragma once

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace dsb {

class FloatEnvironment {
 public:
#if defined(__SSE__)
  FloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
  ~FloatEnvironment() { _mm_setcsr(saved_); }
#else
  FloatEnvironment() {}
#endif
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

#if defined(__SSE__)
 private:
  unsigned saved_;
#endif
};

}  // namespace dsb

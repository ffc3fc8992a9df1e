// A signal in its scale as int16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/threads.h"

namespace dsb {

// out[e] = signal[e] * scale, cut toward zero and saturated. False if any product is not a number.
bool microvolt(const float* signal, size_t count, float scale, const Threads& threads, int16_t* out);

}  // namespace dsb

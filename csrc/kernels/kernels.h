// The table of kernels that each variant fills; csrc/ops/ is the only caller.
//
// Kernels are single-threaded, allocate nothing and check nothing: the caller has checked sizes and types. Outputs need
// no alignment and may not overlap inputs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dsb {

// A run of `elements` values of one sample's flattened tensor, beginning at element 4 * first_block.
struct PhiloxRange {
  uint64_t seed;
  uint64_t index;  // absolute sample number
  uint32_t stream;
  uint32_t first_block;
  uint64_t elements;
};

struct Kernels {
  const char* name;
  // out[e] = low + span * u(e), u uniform in [0, 1) with 24 bits; product and sum rounded one after the other.
  void (*philox_uniform)(const PhiloxRange& range, float low, float span, float* out);
  // Box-Muller in float64, rounded to float32.
  void (*philox_normal)(const PhiloxRange& range, float* out);
  // out[e] = trunc(signal[e] * scale), saturated to int16; false if any product is not a number.
  bool (*microvolt)(const float* signal, size_t count, float scale, int16_t* out);
};

}  // namespace dsb

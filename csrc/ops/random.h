// Counter-based random numbers: sample identity begins here (docs/identity.md).
#pragma once

#include <cstdint>

namespace dsb {

struct RandomShape {
  uint64_t start;     // first absolute sample number
  uint64_t count;     // samples
  uint64_t elements;  // values a sample, at most 2^34
};

// Fill out[count * elements] from `stream` of `seed`; threads = 0 means all cores.
void random_uniform(uint64_t seed, uint32_t stream, const RandomShape& shape, float low, float span, unsigned threads,
                    float* out);
void random_normal(uint64_t seed, uint32_t stream, const RandomShape& shape, unsigned threads, float* out);

}  // namespace dsb

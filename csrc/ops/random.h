// Counter-based random numbers: sample identity begins here (docs/identity.md).
#pragma once

#include <cstdint>

#include "core/threads.h"

namespace dsb {

struct RandomShape {
  uint64_t start;     // first absolute sample number
  uint64_t count;     // samples
  uint64_t elements;  // values a sample, at most 2^34
};

// Fill out[count * elements] from `stream` of `seed`.
void random_uniform(uint64_t seed, uint32_t stream, const RandomShape& shape, float low, float span,
                    const Threads& threads, float* out);
void random_normal(uint64_t seed, uint32_t stream, const RandomShape& shape, const Threads& threads, float* out);

}  // namespace dsb

#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/philox.h"
#include "cuda/storage.h"

namespace dsb {
namespace cuda {
namespace {

// span * u = (span * 2^-24) * n for u = n * 2^-24: rounded once either way, if span * 2^-24 is exact; otherwise, for
// spans below 2^-102, u is made first.
struct Uniform {
  float low, span, step;
  bool exact;

  DSB_HD void operator()(const Words& words, float (&out)[4]) const {
    DSB_UNROLL
    for (int k = 0; k < 4; ++k) {
      const float n = static_cast<float>(words.w[k] >> 8);
      out[k] = sum(low, exact ? product(step, n) : product(span, product(0x1p-24f, n)));
    }
  }
};

struct Normal {
  DSB_HD void operator()(const Words& words, float (&out)[4]) const {
    box_muller(words.w[0], words.w[1], &out[0], &out[1]);
    box_muller(words.w[2], words.w[3], &out[2], &out[3]);
  }
};

// Index: block of four elements, fastest, and sample.
template <class Numbers>
struct Draw {
  Random random;
  uint32_t blocks;  // of a sample
  bool wide;        // four elements can be written at once
  Numbers numbers;
  float* out;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t sample = k / blocks, block = k % blocks;
    const uint64_t seed = random.seed_at ? *random.seed_at : random.seed;
    const uint64_t start = random.start_at ? *random.start_at : random.start;
    float made[4];
    numbers(philox(seed, block, random.stream, start + sample), made);
    const uint64_t first = uint64_t{4} * block;
    float* to = out + sample * random.elements;
    if (wide) return store<float>(made, to + first);
    DSB_UNROLL
    for (int e = 0; e < 4; ++e)
      if (first + e < random.elements) to[first + e] = made[e];
  }
};

// Index: channel, fastest, so that a warp writes whole sectors; block of four positions; sample.
template <class Numbers>
struct DrawChannelsLast {
  Random random;
  uint32_t blocks;  // of a channel
  Numbers numbers;
  float* out;

  DSB_HD void operator()(uint32_t k) const {
    const uint32_t channels = static_cast<uint32_t>(random.channels), channel = k % channels;
    const uint32_t block = k / channels % blocks, sample = k / channels / blocks;
    const uint64_t seed = random.seed_at ? *random.seed_at : random.seed;
    const uint64_t start = random.start_at ? *random.start_at : random.start;
    const uint32_t counter = channel * blocks + block;
    float made[4];
    numbers(philox(seed, counter, random.stream, start + sample), made);
    float* to = out + sample * random.elements + uint64_t{4} * block * channels + channel;
    DSB_UNROLL
    for (int e = 0; e < 4; ++e) to[uint64_t{channels} * e] = made[e];
  }
};

// A channel's end inside a block of four: an element a thread.
template <class Numbers>
struct DrawScattered {
  Random random;
  Numbers numbers;
  float* out;

  DSB_HD void operator()(uint32_t k) const {
    const uint64_t sample = k / random.elements, element = k % random.elements,
                   length = random.elements / random.channels;
    const uint64_t seed = random.seed_at ? *random.seed_at : random.seed;
    const uint64_t start = random.start_at ? *random.start_at : random.start;
    float made[4];
    numbers(philox(seed, static_cast<uint32_t>(element / 4), random.stream, start + sample), made);
    float value = made[0];
    DSB_UNROLL
    for (int e = 1; e < 4; ++e)
      if (element % 4 == static_cast<uint64_t>(e)) value = made[e];
    out[sample * random.elements + element % length * random.channels + element / length] = value;
  }
};

template <class Numbers>
void draw(const Random& random, const Numbers& numbers, Stream stream, float* out) {
  if (random.elements > (1ull << 34)) throw std::length_error("random: a sample has at most 2^34 values");
  if (random.count == 0 || random.elements == 0) return;
  const uint64_t blocks = (random.elements + 3) / 4;
  if (random.channels <= 1) {
    const bool wide = random.elements % 4 == 0 && is_wide(out);
    return for_each(random.count * checked(blocks),
                    Draw<Numbers>{random, static_cast<uint32_t>(blocks), wide, numbers, out}, stream);
  }
  const uint64_t length = random.elements / random.channels;
  if (length % 4 == 0)
    return for_each(random.count * checked(blocks),
                    DrawChannelsLast<Numbers>{random, static_cast<uint32_t>(length / 4), numbers, out}, stream);
  for_each(random.count * random.elements, DrawScattered<Numbers>{random, numbers, out}, stream);
}

}  // namespace

void philox_uniform(const Random& random, float low, float span, Stream stream, float* out) {
  const float step = span * 0x1p-24f;
  draw(random, Uniform{low, span, step, step * 0x1p24f == span}, stream, out);
}

void philox_normal(const Random& random, Stream stream, float* out) { draw(random, Normal{}, stream, out); }

}  // namespace cuda
}  // namespace dsb

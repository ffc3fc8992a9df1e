#include "ops/random.h"

#include <algorithm>
#include <stdexcept>

#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr uint64_t kPieceElements = 4 * 16384;    // what a thread takes at a time; a whole number of blocks
constexpr uint64_t kThreadElements = 1ull << 18;  // a thread for less costs more to start than it saves

template <typename Kernel>
void fill(uint64_t seed, uint32_t stream, const RandomShape& shape, const Threads& threads, float* out, Kernel kernel) {
  if (shape.elements > (1ull << 34)) throw std::invalid_argument("random: a sample has at most 2^34 values");
  if (shape.count == 0 || shape.elements == 0) return;
  const uint64_t worthwhile = std::max<uint64_t>(1, shape.count * shape.elements / kThreadElements);
  const uint64_t pieces = (shape.elements + kPieceElements - 1) / kPieceElements;
  parallel_for(shape.count * pieces, threads.at_most(worthwhile), [&](uint64_t task) {
    const uint64_t sample = task / pieces, first = task % pieces * kPieceElements;
    PhiloxRange range;
    range.seed = seed;
    range.stream = stream;
    range.index = shape.start + sample;
    range.first_block = static_cast<uint32_t>(first / 4);
    range.elements = std::min(kPieceElements, shape.elements - first);
    kernel(range, out + sample * shape.elements + first);
  });
}

}  // namespace

void random_uniform(uint64_t seed, uint32_t stream, const RandomShape& shape, float low, float span,
                    const Threads& threads, float* out) {
  const Kernels& k = kernels();
  fill(seed, stream, shape, threads, out,
       [&](const PhiloxRange& range, float* to) { k.philox_uniform(range, low, span, to); });
}

void random_normal(uint64_t seed, uint32_t stream, const RandomShape& shape, const Threads& threads, float* out) {
  const Kernels& k = kernels();
  fill(seed, stream, shape, threads, out, [&](const PhiloxRange& range, float* to) { k.philox_normal(range, to); });
}

}  // namespace dsb

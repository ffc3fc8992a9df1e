#include "ops/microvolt.h"

#include <algorithm>
#include <atomic>

#include "ops/dispatch.h"

namespace dsb {

bool microvolt(const float* signal, size_t count, float scale, const Threads& threads, int16_t* out) {
  constexpr size_t kPiece = 1 << 18;  // a thread for less costs more to start than it saves
  const Kernels& k = kernels();
  std::atomic<bool> numbers{true};
  parallel_for((count + kPiece - 1) / kPiece, threads, [&](uint64_t task) {
    const size_t first = task * kPiece;
    if (!k.microvolt(signal + first, std::min(kPiece, count - first), scale, out + first)) numbers = false;
  });
  return numbers;
}

}  // namespace dsb

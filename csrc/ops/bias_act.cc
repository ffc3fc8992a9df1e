#include "ops/bias_act.h"

#include <algorithm>

#include "ops/dispatch.h"

namespace dsb {

void bias_act(const float* x, int64_t outer, int64_t channels, int64_t inner, const float* bias,
              const ActivationOptions& options, const Threads& threads, float* out) {
  static const float kNone = 0.0f;
  const Kernels& k = kernels();
  if (inner == 1 && bias) {  // the bias runs along the values
    parallel_for(static_cast<uint64_t>(outer), threads, [&](uint64_t task) {
      k.bias_act(x + task * channels, static_cast<size_t>(channels), bias, 1, options, out + task * channels);
    });
    return;
  }
  constexpr int64_t kPiece = 1 << 16;  // of a row: a tensor without bias is a single one
  const uint64_t pieces = static_cast<uint64_t>(std::max<int64_t>(1, (inner + kPiece - 1) / kPiece));
  parallel_for(static_cast<uint64_t>(outer * channels) * pieces, threads, [&](uint64_t task) {
    const int64_t row = static_cast<int64_t>(task / pieces), first = static_cast<int64_t>(task % pieces) * kPiece;
    const float* b = bias ? bias + row % channels : &kNone;
    const int64_t at = row * inner + first;
    k.bias_act(x + at, static_cast<size_t>(std::min(kPiece, inner - first)), b, 0, options, out + at);
  });
}

}  // namespace dsb

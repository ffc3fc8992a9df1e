#include "ops/bfloat16.h"

#include <algorithm>

#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int64_t kPiece = 4096;  // values that are float32 at a time

}  // namespace

void round_bf16(const float* x, int64_t count, const Threads& threads, bfloat16* out) {
  const Kernels& k = kernels();
  parallel_for(static_cast<uint64_t>((count + kPiece - 1) / kPiece), threads, [&](uint64_t task) {
    const int64_t first = static_cast<int64_t>(task) * kPiece;
    k.round_bf16(x + first, static_cast<size_t>(std::min(kPiece, count - first)), out + first);
  });
}

void bias_act(const bfloat16* x, int64_t outer, int64_t channels, int64_t inner, const float* bias,
              const ActivationOptions& options, const Threads& threads, bfloat16* out) {
  static const float kNone = 0.0f;
  const Kernels& k = kernels();
  const bool along = inner == 1 && bias;  // the bias runs along the values
  const int64_t tasks = along ? outer : outer * channels, values = along ? channels : inner;
  parallel_for(static_cast<uint64_t>(tasks), threads, [&](uint64_t task) {
    float piece[kPiece];
    const int64_t row = static_cast<int64_t>(task) * values;
    for (int64_t first = 0; first < values; first += kPiece) {
      const size_t count = static_cast<size_t>(std::min(kPiece, values - first));
      const float* b = !bias ? &kNone : along ? bias + first : bias + static_cast<int64_t>(task) % channels;
      k.widen_bf16(x + row + first, count, piece);
      k.bias_act(piece, count, b, along ? 1 : 0, options, piece);
      k.round_bf16(piece, count, out + row + first);
    }
  });
}

void upfirdn2d(const bfloat16* x, const Shape4& in, const FilterSteps& steps, const Threads& threads, bfloat16* out) {
  const Shape4 result = upfirdn2d_shape(in, steps);
  const Kernels& k = kernels();
  const int64_t in_plane = in.h * in.w, out_plane = result.h * result.w;
  parallel_for(static_cast<uint64_t>(in.n * in.c), threads, [&](uint64_t task) {
    Shape4 shape = {1, 1, in.h, in.w};
    std::vector<float> plane(static_cast<size_t>(in_plane));
    k.widen_bf16(x + static_cast<int64_t>(task) * in_plane, plane.size(), plane.data());
    for (const auto& step : steps) {
      const Shape4 next = upfirdn2d_shape(shape, step.first, step.second);
      std::vector<float> filtered(static_cast<size_t>(next.size()));
      upfirdn2d(plane.data(), shape, step.first, step.second, 1, filtered.data());
      plane = std::move(filtered);
      shape = next;
    }
    k.round_bf16(plane.data(), plane.size(), out + static_cast<int64_t>(task) * out_plane);
  });
}

}  // namespace dsb

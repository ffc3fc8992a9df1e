#include "ops/linear_attention.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "ops/dispatch.h"

namespace dsb {
namespace {

constexpr int64_t kChunk = 256;  // positions of a partial sum; part of the arithmetic
constexpr int64_t kPanel = 64;   // positions whose features stay in the first-level cache

struct Head {
  int64_t features, values, positions;
  float q_scale, k_scale, out_scale;
};

// context[value, feature]: the sum over positions of v times softmax(k). Partial sums of kChunk positions are added in
// order, so that many positions cost no accuracy.
std::vector<float> make_context(const Head& h, const float* k, const float* v) {
  const Kernels& kernel = kernels();
  const size_t size = static_cast<size_t>(h.values * h.features);
  std::vector<float> context(size, 0.0f), part(size), weights(static_cast<size_t>(kChunk * h.features));
  std::vector<float> sums(static_cast<size_t>(h.features), 0.0f), part_sums(sums.size()), largest(sums.size());
  const std::vector<float> ones(static_cast<size_t>(kChunk), 1.0f);
  const size_t count = static_cast<size_t>(h.positions);
  for (int64_t d = 0; d < h.features; ++d)
    largest[static_cast<size_t>(d)] = kernel.row_maximum(k + d * h.positions, count, h.k_scale);
  for (int64_t first = 0; first < h.positions; first += kChunk) {
    const int64_t width = std::min(kChunk, h.positions - first);
    for (int64_t d = 0; d < h.features; ++d)
      kernel.exp_row(k + d * h.positions + first, static_cast<size_t>(width), h.k_scale,
                     largest[static_cast<size_t>(d)], weights.data() + d, static_cast<size_t>(h.features));
    kernel.matmul({h.values, h.features, width, h.positions, h.features, h.features}, v + first, weights.data(),
                  part.data());
    kernel.matmul({1, h.features, width, width, h.features, h.features}, ones.data(), weights.data(), part_sums.data());
    for (size_t e = 0; e < size; ++e) context[e] += part[e];
    for (size_t d = 0; d < sums.size(); ++d) sums[d] += part_sums[d];
  }
  for (size_t e = 0; e < size; ++e) context[e] /= sums[e % sums.size()];
  return context;
}

void attend(const Head& h, const float* q, const std::vector<float>& context, float* out) {
  const Kernels& kernel = kernels();
  std::vector<float> weights(static_cast<size_t>(std::max<int64_t>(1, h.features) * kPanel));
  for (int64_t first = 0; first < h.positions; first += kPanel) {
    const int64_t width = std::min(kPanel, h.positions - first);
    kernel.softmax_columns(q + first, h.features, h.positions, width, h.q_scale, h.out_scale, weights.data(), width);
    kernel.matmul({h.values, width, h.features, h.features, width, h.positions}, context.data(), weights.data(),
                  out + first);
  }
}

}  // namespace

Shape4 linear_attention_shape(const Shape4& q, const Shape4& k, const Shape4& v, const LinearAttention& attention) {
  const auto refuse = [](const std::string& what) { throw std::invalid_argument("linear_attention: " + what); };
  if (attention.heads < 1) refuse("heads must be at least 1");
  if (k.n != q.n || k.c != q.c || k.h != q.h || k.w != q.w) refuse("k is " + text(k) + ", needs q's shape " + text(q));
  if (v.n != q.n || v.h != q.h || v.w != q.w)
    refuse("v is " + text(v) + ", q is " + text(q) + "; only their channels may differ");
  for (const Shape4& shape : {q, v})
    if (shape.c % attention.heads)
      refuse(std::to_string(shape.c) + " channels can't be shared by " + std::to_string(attention.heads) + " heads");
  return v;
}

void linear_attention(const float* q, const float* k, const float* v, const Shape4& q_shape, const Shape4& v_shape,
                      const LinearAttention& attention, const Threads& threads, float* out) {
  const int64_t positions = q_shape.h * q_shape.w;
  const Head head = {q_shape.c / attention.heads, v_shape.c / attention.heads, positions,
                     attention.q_scale,           attention.k_scale,           attention.out_scale};
  parallel_for(static_cast<uint64_t>(q_shape.n * attention.heads), threads, [&](uint64_t task) {
    const int64_t features = static_cast<int64_t>(task) * head.features * positions;
    const int64_t values = static_cast<int64_t>(task) * head.values * positions;
    attend(head, q + features, make_context(head, k + features, v + values), out + values);
  });
}

}  // namespace dsb

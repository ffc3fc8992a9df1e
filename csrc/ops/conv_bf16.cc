#include "ops/conv_bf16.h"

#include <algorithm>

#include "ops/dispatch.h"

namespace dsb {

std::vector<bfloat16_pair> packed_pairs(const bfloat16* weight, const Shape4& shape) {
  const int64_t taps = shape.h * shape.w;
  const auto at = [&](int64_t o, int64_t c, int64_t tap) -> bfloat16_pair {
    return c < shape.c ? weight[(o * shape.c + c) * taps + tap] : 0;
  };
  std::vector<bfloat16_pair> packed;
  packed.reserve(static_cast<size_t>(shape.n * ((shape.c + 1) / 2) * taps));
  for (int64_t first = 0; first < shape.n; first += kPairBlock)
    for (int64_t c = 0; c < shape.c; c += 2)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t o = first; o < std::min(first + kPairBlock, shape.n); ++o)
          packed.push_back(at(o, c, tap) | at(o, c + 1, tap) << 16);
  return packed;
}

void conv2d_bf16(const ConvPlane& p, const float* x, const std::vector<bfloat16_pair>& packed, int64_t out_channels,
                 const Threads& threads, float* out) {
  const Kernels& k = kernels();
  const int64_t values = p.in_height * p.in_width, rows = (p.in_channels + 1) / 2;
  std::vector<bfloat16_pair> pairs(static_cast<size_t>(rows * values) + k.lanes);
  parallel_for(static_cast<uint64_t>(rows), threads, [&](uint64_t row) {
    const int64_t first = 2 * static_cast<int64_t>(row);
    const float* second = first + 1 < p.in_channels ? x + (first + 1) * values : nullptr;
    k.pair_bf16(x + first * values, second, static_cast<size_t>(values), pairs.data() + first / 2 * values);
  });
  const int64_t sum_length = rows * p.kernel_height * p.kernel_width;
  parallel_for(static_cast<uint64_t>((out_channels + kPairBlock - 1) / kPairBlock), threads, [&](uint64_t block) {
    const int64_t o = static_cast<int64_t>(block) * kPairBlock;
    k.conv2d_bf16(p, std::min(kPairBlock, out_channels - o), pairs.data(), packed.data() + o * sum_length,
                  out + o * p.out_height * p.out_width);
  });
}

}  // namespace dsb

#include "ops/conversions.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/float_environment.h"
#include "ops/dispatch.h"
#include "ops/work.h"

namespace dsb {

void normalize_latent(const float* z, int64_t count, int64_t length, LatentNorm norm, float* out) {
  const FloatEnvironment environment;
  for (int64_t n = 0; n < count; ++n, z += length, out += length) {
    double sum = 0.0;
    for (int64_t e = 0; e < length; ++e) sum += static_cast<double>(z[e]) * z[e];
    const double divisor =
        norm == LatentNorm::l2 ? std::max(std::sqrt(sum), 1e-12) : std::sqrt(sum / static_cast<double>(length) + 1e-8);
    for (int64_t e = 0; e < length; ++e) out[e] = static_cast<float>(z[e] / divisor);
  }
}

void truncate_styles(const float* w, int64_t count, int64_t length, const float* mean, float psi, float* out) {
  const FloatEnvironment environment;
  for (int64_t n = 0; n < count; ++n, w += length, out += length)
    for (int64_t e = 0; e < length; ++e) out[e] = mean[e] + psi * (w[e] - mean[e]);
}

void mean_rows(const float* x, int64_t count, int64_t rows, int64_t length, float* out) {
  const FloatEnvironment environment;
  for (int64_t n = 0; n < count; ++n, out += length) {
    std::copy_n(x, length, out);
    x += length;
    for (int64_t row = 1; row < rows; ++row, x += length)
      for (int64_t e = 0; e < length; ++e) out[e] += x[e];
    for (int64_t e = 0; e < length; ++e) out[e] /= static_cast<float>(rows);
  }
}

bool grey_levels(const float* x, const Shape4& shape, float scale, float offset, const Threads& threads, uint8_t* out) {
  const Kernels& k = kernels();
  const int64_t pixels = shape.h * shape.w, size = shape.c * pixels, group = items_per_task(size);
  std::atomic<bool> numbers{true};
  parallel_for(static_cast<uint64_t>(divide_up(shape.n, group)), threads, [&](uint64_t task) {
    const int64_t first = static_cast<int64_t>(task) * group;
    for (int64_t n = first; n < std::min(shape.n, first + group); ++n)
      if (!k.grey_levels(x + n * size, shape.c, pixels, scale, offset, out + n * size)) numbers = false;
  });
  return numbers;
}

}  // namespace dsb

#include "kernels/declarations.h"
#include "kernels/elementary.h"

namespace dsb {
namespace DSB_VARIANT {
namespace {

template <typename Function>
inline void apply(const float* x, size_t count, const float* bias, size_t bias_step, const ActivationOptions& options,
                  float* out, Function function) {
  const float gain = options.gain;
  // An infinite limit holds nothing back; a loop that asks whether there is one is not vectorised.
  const float limit = options.clamp >= 0.0f ? options.clamp : __builtin_inff();
  for (size_t e = 0; e < count; ++e) {
    float y = function(x[e] + bias[e * bias_step]) * gain;
    y = y < -limit ? -limit : y;
    out[e] = y > limit ? limit : y;
  }
}

constexpr float kSeluScale = 1.0507009873554805f, kSeluAlpha = 1.6732632423543773f;

}  // namespace

void bias_act(const float* x, size_t count, const float* bias, size_t bias_step, const ActivationOptions& options,
              float* out) {
  const float alpha = options.alpha;
  const auto run = [&](auto function) { apply(x, count, bias, bias_step, options, out, function); };
  switch (options.kind) {
    case Activation::linear:
      return run([](float v) { return v; });
    case Activation::relu:
      return run([](float v) { return v < 0.0f ? 0.0f : v; });
    case Activation::lrelu:
      return run([alpha](float v) { return v < 0.0f ? v * alpha : v; });
    case Activation::tanh:
      return run([](float v) { return tanh_f32(v); });
    case Activation::sigmoid:
      return run([](float v) { return sigmoid_f32(v); });
    case Activation::elu:
      return run([](float v) { return v < 0.0f ? expm1_f32(v) : v; });
    case Activation::selu:
      return run([](float v) { return kSeluScale * (v < 0.0f ? kSeluAlpha * expm1_f32(v) : v); });
    case Activation::softplus:
      return run([](float v) { return softplus_f32(v); });
    case Activation::swish:
      return run([](float v) { return v * sigmoid_f32(v); });
    case Activation::gelu:
      return run([](float v) { return gelu_f32(v); });
  }
}

}  // namespace DSB_VARIANT
}  // namespace dsb

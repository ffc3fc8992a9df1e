#include "ops/bias_act.h"

#include <algorithm>
#include <stdexcept>

#include "ops/dispatch.h"

namespace dsb {

ActivationOptions activation(const std::string& what, const std::string& name) {
  const float root = 1.41421356f;
  struct Named {
    const char* name;
    Activation kind;
    float alpha, gain;
  };
  const Named all[] = {{"linear", Activation::linear, 0.0f, 1.0f},   {"relu", Activation::relu, 0.0f, root},
                       {"lrelu", Activation::lrelu, 0.2f, root},     {"tanh", Activation::tanh, 0.0f, 1.0f},
                       {"sigmoid", Activation::sigmoid, 0.0f, 1.0f}, {"elu", Activation::elu, 0.0f, 1.0f},
                       {"selu", Activation::selu, 0.0f, 1.0f},       {"softplus", Activation::softplus, 0.0f, 1.0f},
                       {"swish", Activation::swish, 0.0f, root},     {"gelu", Activation::gelu, 0.0f, 1.0f}};
  std::string known;
  for (const Named& a : all) {
    if (name == a.name) return {a.kind, a.alpha, a.gain, -1.0f};
    known += (known.empty() ? "" : ", ") + std::string(a.name);
  }
  throw std::invalid_argument(what + " is '" + name.substr(0, 40) + "'; there are " + known);
}

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

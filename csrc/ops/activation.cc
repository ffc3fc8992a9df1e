#include <stdexcept>

#include "ops/bias_act.h"

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

}  // namespace dsb

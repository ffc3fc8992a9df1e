// Arrays and options as the operators' bindings take them.
#pragma once

#include <string>

#include "kernels/kernels.h"
#include "ops/tensor.h"
#include "python/bindings.h"

namespace dsb {
namespace python {

using FloatArray = pybind11::array_t<float, pybind11::array::c_style>;

inline Shape4 shape_of(const FloatArray& x, const char* name) {
  if (x.ndim() != 4) throw pybind11::value_error(std::string(name) + " must have four dimensions");
  return {x.shape(0), x.shape(1), x.shape(2), x.shape(3)};
}

inline FloatArray make(const Shape4& s) { return FloatArray({s.n, s.c, s.h, s.w}); }

inline ActivationOptions options_of(const std::string& act, float alpha, float gain, float clamp) {
  const char* names[] = {"linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish", "gelu"};
  int kind = 0;
  for (const char* name : names) {
    if (act == name) return {static_cast<Activation>(kind), alpha, gain, clamp};
    ++kind;
  }
  throw pybind11::value_error("no activation is called " + act);
}

}  // namespace python
}  // namespace dsb

// Arrays and options as the operators' bindings take them.
#pragma once

#include <string>

#include "ops/bias_act.h"
#include "ops/tensor.h"
#include "python/bindings.h"

namespace dsb {
namespace python {

template <typename T>
using Array = pybind11::array_t<T, pybind11::array::c_style>;
using FloatArray = Array<float>;
using BitsArray = Array<bfloat16>;  // what numpy has as uint16

inline Shape4 shape_of(const pybind11::array& x, const char* name) {
  if (x.ndim() != 4) throw pybind11::value_error(std::string(name) + " must have four dimensions");
  return {x.shape(0), x.shape(1), x.shape(2), x.shape(3)};
}

template <typename T = float>
Array<T> make(const Shape4& s) {
  return Array<T>({s.n, s.c, s.h, s.w});
}

inline ActivationOptions options_of(const std::string& act, float alpha, float gain, float clamp) {
  return {activation("act", act).kind, alpha, gain, clamp};
}

}  // namespace python
}  // namespace dsb

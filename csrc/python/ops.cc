#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ops/bfloat16.h"
#include "ops/bias_act.h"
#include "ops/modulated_conv2d.h"
#include "ops/upfirdn2d.h"
#include "python/arrays.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace dsb {
namespace python {
namespace {

Filter filter_of(const FloatArray& taps) {
  if (taps.ndim() != 2) throw py::value_error("a filter must have two dimensions");
  return {taps.data(), taps.shape(0), taps.shape(1)};
}

Resampling resampling_of(const std::vector<int64_t>& up, const std::vector<int64_t>& down,
                         const std::vector<int64_t>& padding, bool flip_filter, float gain) {
  if (up.size() != 2 || down.size() != 2 || padding.size() != 4) throw py::value_error("up, down or padding is short");
  Resampling how;
  how.up_x = up[0], how.up_y = up[1], how.down_x = down[0], how.down_y = down[1];
  how.left = padding[0], how.right = padding[1], how.top = padding[2], how.bottom = padding[3];
  how.flip_filter = flip_filter;
  how.gain = gain;
  return how;
}

// Taps, up, down, padding and gain of each filter.
using Step = std::tuple<FloatArray, std::vector<int64_t>, std::vector<int64_t>, std::vector<int64_t>, float>;

template <typename T>
Array<T> bind_upfirdn2d(const Array<T>& x, const std::vector<Step>& given, bool flip_filter, unsigned threads) {
  FilterSteps steps;
  for (const auto& [taps, up, down, padding, gain] : given)
    steps.emplace_back(filter_of(taps), resampling_of(up, down, padding, flip_filter, gain));
  const Shape4 shape = shape_of(x, "x");
  Array<T> out = make<T>(upfirdn2d_shape(shape, steps));
  const T* from = x.data();
  T* to = out.mutable_data();
  py::gil_scoped_release release;
  upfirdn2d(from, shape, steps, threads, to);
  return out;
}

BitsArray bind_round_bf16(const FloatArray& x, unsigned threads) {
  BitsArray out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  const float* from = x.data();
  bfloat16* to = out.mutable_data();
  const int64_t count = x.size();
  py::gil_scoped_release release;
  round_bf16(from, count, threads, to);
  return out;
}

template <typename T>
Array<T> bind_bias_act(const Array<T>& x, const std::optional<FloatArray>& bias, const std::string& act, float alpha,
                       float gain, float clamp, unsigned threads) {
  if (x.ndim() != 3) throw py::value_error("x must be [outer, channels, inner]");
  if (bias && bias->size() != x.shape(1)) throw py::value_error("bias and channels differ");
  const ActivationOptions options = options_of(act, alpha, gain, clamp);
  Array<T> out({x.shape(0), x.shape(1), x.shape(2)});
  const T* from = x.data();
  const float* b = bias ? bias->data() : nullptr;
  T* to = out.mutable_data();
  py::gil_scoped_release release;
  bias_act(from, x.shape(0), x.shape(1), x.shape(2), b, options, threads, to);
  return out;
}

template <typename T>
Array<T> bind_modulated_conv2d(const Array<T>& x, const Array<T>& weight, const FloatArray& styles,
                               const std::optional<FloatArray>& noise, int64_t up, int64_t down,
                               const std::vector<int64_t>& padding, const std::vector<FloatArray>& filters,
                               bool demodulate, bool flip_weight, unsigned threads,
                               const std::optional<FloatArray>& noise_gain, const std::optional<FloatArray>& bias,
                               const std::string& act, float alpha, float gain, float clamp, float style_offset,
                               const std::optional<FloatArray>& residual, bool bfloat16_products, bool enlarged) {
  const Shape4 shape = shape_of(x, "x");
  ModulatedConv conv;
  conv.bfloat16_products = bfloat16_products, conv.enlarged = enlarged;
  conv.weight = shape_of(weight, "weight");
  if (styles.size() != shape.n * shape.c || padding.size() != 4) throw py::value_error("styles or padding is short");
  conv.up = up, conv.down = down;
  conv.left = padding[0], conv.right = padding[1], conv.top = padding[2], conv.bottom = padding[3];
  for (const FloatArray& taps : filters) conv.filters.push_back(filter_of(taps));
  conv.demodulate = demodulate;
  conv.flip_weight = flip_weight;
  for (const auto& values : {noise_gain, bias})
    if (values && values->size() != conv.weight.n) throw py::value_error("modulated_conv2d: a value an output channel");
  conv.noise_gain = noise_gain ? noise_gain->data() : nullptr;
  conv.bias = bias ? bias->data() : nullptr;
  conv.activation = options_of(act, alpha, gain, clamp);
  conv.style_offset = style_offset;
  const Shape4 result = modulated_conv2d_shape(shape, conv);
  if (residual && residual->size() != result.size())
    throw py::value_error("modulated_conv2d: residual is as the result");
  conv.residual = residual ? residual->data() : nullptr;
  if (noise) {
    conv.noise = noise->data();
    conv.noise_per_sample = noise->ndim() == 4;
    if (noise->size() != result.h * result.w * (conv.noise_per_sample ? shape.n : 1))
      throw py::value_error("modulated_conv2d: noise has " + std::to_string(noise->size()) + " values, the result is " +
                            text(result));
  }
  Array<T> out = make<T>(result);
  const T *from = x.data(), *w = weight.data();
  const float* s = styles.data();
  T* to = out.mutable_data();
  py::gil_scoped_release release;
  modulated_conv2d(from, shape, w, s, conv, threads, to);
  return out;
}

// The operators that are alike for float32 and for the bits of bfloat16 as uint16 (x, weight and the result).
template <typename T>
void bind_image_ops(py::module_& module, const std::string& suffix) {
  module.def(
      ("upfirdn2d" + suffix).c_str(), &bind_upfirdn2d<T>, py::arg("x").noconvert(), py::arg("steps"),
      py::arg("flip_filter"), py::arg("threads"),
      "x [N, C, H, W]; steps (taps float32 [h, w], up and down as x, y, padding as left, right, top, bottom, gain).");
  module.def(("bias_act" + suffix).c_str(), &bind_bias_act<T>, py::arg("x").noconvert(), py::arg("bias").noconvert(),
             py::arg("act"), py::arg("alpha"), py::arg("gain"), py::arg("clamp"), py::arg("threads"),
             "x [outer, channels, inner], bias float32; clamp below 0 for none.");
  module.def(("modulated_conv2d" + suffix).c_str(), &bind_modulated_conv2d<T>, py::arg("x").noconvert(),
             py::arg("weight").noconvert(), py::arg("styles").noconvert(), py::arg("noise").noconvert(), py::arg("up"),
             py::arg("down"), py::arg("padding"), py::arg("filters"), py::arg("demodulate"), py::arg("flip_weight"),
             py::arg("threads"), py::arg("noise_gain").noconvert() = py::none(),
             py::arg("bias").noconvert() = py::none(), py::arg("act") = "linear", py::arg("alpha") = 0.0f,
             py::arg("gain") = 1.0f, py::arg("clamp") = -1.0f, py::arg("style_offset") = 0.0f,
             py::arg("residual").noconvert() = py::none(), py::arg("bfloat16_products") = false,
             py::arg("enlarged") = false,
             "x [N, I, H, W], weight [O, I, h, w], styles [N, I], noise [N, 1, H, W] or [H, W], filters prepared; "
             "noise_gain and bias [O]; residual [N, O, H, W]; clamp below 0 for none.");
}

}  // namespace

void bind_ops(py::module_& module) {
  module.def("round_bf16", &bind_round_bf16, py::arg("x").noconvert(), py::arg("threads"),
             "The bits of x, float32, rounded to bfloat16, as uint16.");
  bind_image_ops<float>(module, "");
  bind_image_ops<bfloat16>(module, "_bf16");
}

}  // namespace python
}  // namespace dsb

#include <optional>
#include <vector>

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

FloatArray bind_upfirdn2d(const FloatArray& x, const FloatArray& taps, const std::vector<int64_t>& up,
                          const std::vector<int64_t>& down, const std::vector<int64_t>& padding, bool flip_filter,
                          float gain, unsigned threads) {
  if (up.size() != 2 || down.size() != 2 || padding.size() != 4) throw py::value_error("up, down or padding is short");
  const Shape4 shape = shape_of(x, "x");
  Resampling how;
  how.up_x = up[0], how.up_y = up[1], how.down_x = down[0], how.down_y = down[1];
  how.left = padding[0], how.right = padding[1], how.top = padding[2], how.bottom = padding[3];
  how.flip_filter = flip_filter;
  how.gain = gain;
  const Filter filter = filter_of(taps);
  FloatArray out = make(upfirdn2d_shape(shape, filter, how));
  const float* from = x.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  upfirdn2d(from, shape, filter, how, threads, to);
  return out;
}

FloatArray bind_bias_act(const FloatArray& x, const std::optional<FloatArray>& bias, const std::string& act,
                         float alpha, float gain, float clamp, unsigned threads) {
  if (x.ndim() != 3) throw py::value_error("x must be [outer, channels, inner]");
  if (bias && bias->size() != x.shape(1)) throw py::value_error("bias and channels differ");
  const ActivationOptions options = options_of(act, alpha, gain, clamp);
  FloatArray out({x.shape(0), x.shape(1), x.shape(2)});
  const float* from = x.data();
  const float* b = bias ? bias->data() : nullptr;
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  bias_act(from, x.shape(0), x.shape(1), x.shape(2), b, options, threads, to);
  return out;
}

FloatArray bind_modulated_conv2d(const FloatArray& x, const FloatArray& weight, const FloatArray& styles,
                                 const std::optional<FloatArray>& noise, int64_t up, int64_t down,
                                 const std::vector<int64_t>& padding, const std::vector<FloatArray>& filters,
                                 bool demodulate, bool flip_weight, unsigned threads,
                                 const std::optional<FloatArray>& noise_gain, const std::optional<FloatArray>& bias,
                                 const std::string& act, float alpha, float gain, float clamp, float style_offset) {
  const Shape4 shape = shape_of(x, "x");
  ModulatedConv conv;
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
  if (noise) {
    conv.noise = noise->data();
    conv.noise_per_sample = noise->ndim() == 4;
    if (noise->size() != result.h * result.w * (conv.noise_per_sample ? shape.n : 1))
      throw py::value_error("modulated_conv2d: noise has " + std::to_string(noise->size()) + " values, the result is " +
                            text(result));
  }
  FloatArray out = make(result);
  const float *from = x.data(), *w = weight.data(), *s = styles.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  modulated_conv2d(from, shape, w, s, conv, threads, to);
  return out;
}

}  // namespace

void bind_ops(py::module_& module) {
  module.def("upfirdn2d", &bind_upfirdn2d, py::arg("x").noconvert(), py::arg("taps").noconvert(), py::arg("up"),
             py::arg("down"), py::arg("padding"), py::arg("flip_filter"), py::arg("gain"), py::arg("threads"),
             "x float32 [N, C, H, W], taps float32 [h, w]; up and down as x, y; padding as left, right, top, bottom.");
  module.def("bias_act", &bind_bias_act, py::arg("x").noconvert(), py::arg("bias").noconvert(), py::arg("act"),
             py::arg("alpha"), py::arg("gain"), py::arg("clamp"), py::arg("threads"),
             "x float32 [outer, channels, inner]; clamp below 0 for none.");
  module.def("modulated_conv2d", &bind_modulated_conv2d, py::arg("x").noconvert(), py::arg("weight").noconvert(),
             py::arg("styles").noconvert(), py::arg("noise").noconvert(), py::arg("up"), py::arg("down"),
             py::arg("padding"), py::arg("filters"), py::arg("demodulate"), py::arg("flip_weight"), py::arg("threads"),
             py::arg("noise_gain").noconvert() = py::none(), py::arg("bias").noconvert() = py::none(),
             py::arg("act") = "linear", py::arg("alpha") = 0.0f, py::arg("gain") = 1.0f, py::arg("clamp") = -1.0f,
             py::arg("style_offset") = 0.0f,
             "x [N, I, H, W], weight [O, I, h, w], styles [N, I], noise [N, 1, H, W] or [H, W], filters prepared; "
             "noise_gain and bias [O]; clamp below 0 for none.");
}

}  // namespace python
}  // namespace dsb

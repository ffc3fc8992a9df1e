#include "ops/pulse2pulse.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ops/dispatch.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace dsb {
namespace python {
namespace {

using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;
// weight, bias, stride, repetition, padding, activation, slope
using Layer = std::tuple<FloatArray, FloatArray, int64_t, int64_t, int64_t, std::string, float>;

Activation activation_of(const std::string& name) {
  if (name == "relu") return Activation::relu;
  if (name == "lrelu") return Activation::lrelu;
  if (name == "tanh") return Activation::tanh;
  if (name == "linear") return Activation::linear;
  throw py::value_error("conv1d: no activation is called " + name);
}

Conv1dLayer layer_of(const Layer& given, bool bfloat16 = false) {
  const auto& [weight, bias, stride, repetition, padding, activation, slope] = given;
  if (weight.ndim() != 3 || bias.ndim() != 1 || bias.shape(0) != weight.shape(0))
    throw py::value_error("conv1d: weight must be [out, in, taps] and bias [out]");
  const Conv1dSpec spec = {weight.shape(1), weight.shape(0),           weight.shape(2), padding, stride,
                           repetition,      activation_of(activation), slope,           bfloat16};
  return Conv1dLayer(spec, weight.data(), bias.data());
}

// x [N, C, T] through one layer.
py::array_t<float> conv1d(const FloatArray& x, const Layer& given, bool bfloat16) {
  const Conv1dLayer layer = layer_of(given, bfloat16);
  if (x.ndim() != 3 || x.shape(1) != layer.spec().in_channels) throw py::value_error("conv1d: x must be [N, in, T]");
  const int64_t count = x.shape(0), length = x.shape(2), out_length = layer.out_length(length);
  const int64_t lanes = static_cast<int64_t>(kernels().lanes);
  py::array_t<float> out({count, layer.spec().out_channels, out_length});
  const float* from = x.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  LaneBlock in_block(layer.spec().in_channels, length, layer.halo(length), lanes);
  LaneBlock out_block(layer.spec().out_channels, out_length, 0, lanes);
  for (int64_t first = 0; first < count; first += lanes) {
    const int64_t samples = std::min(lanes, count - first);
    to_lanes(from + first * layer.spec().in_channels * length, samples, in_block.view(), lanes);
    layer.run(in_block.view(), out_block.view());
    from_lanes(out_block.view(), samples, lanes, to + first * layer.spec().out_channels * out_length);
  }
  return out;
}

py::array_t<float> run(const Pulse2PulseNetwork& network, const FloatArray& noise, unsigned threads) {
  if (noise.ndim() != 3 || noise.shape(1) != network.leads()) throw py::value_error("noise must be [N, leads, time]");
  py::array_t<float> signal({noise.shape(0), noise.shape(1), noise.shape(2)});
  const float* from = noise.data();
  float* to = signal.mutable_data();
  const int64_t count = noise.shape(0), length = noise.shape(2);
  py::gil_scoped_release release;
  network.run(from, count, length, threads, to);
  return signal;
}

}  // namespace

void bind_pulse2pulse(py::module_& module) {
  module.def("conv1d", &conv1d, py::arg("x"), py::arg("layer"), py::arg("bfloat16") = false,
             "x [N, C, T] through one layer: (weight, bias, stride, repetition, padding, activation, slope); bfloat16 "
             "rounds weight and x, all else stays float32.");
  py::class_<Pulse2PulseNetwork>(module, "Pulse2PulseNetwork", "The ECG network on groups of samples, a sample a lane.")
      .def(py::init([](const std::vector<Layer>& given) {
             std::vector<Conv1dLayer> layers;
             for (const Layer& layer : given) layers.push_back(layer_of(layer));
             return new Pulse2PulseNetwork(std::move(layers));
           }),
           py::arg("layers"))
      .def("run", &run, py::arg("noise"), py::arg("threads") = 0, "signal [N, leads, time] of noise of the same shape");
}

}  // namespace python
}  // namespace dsb

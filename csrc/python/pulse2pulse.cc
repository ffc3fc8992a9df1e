#include "ops/pulse2pulse.h"

#include <algorithm>
#include <memory>
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
using PackedArray = py::array_t<float, py::array::c_style>;
// weight, bias, stride, repetition, padding, activation, slope, algorithm ("" as the network's plan has it)
using Layer = std::tuple<FloatArray, FloatArray, int64_t, int64_t, int64_t, std::string, float, std::string>;

Activation activation_of(const std::string& name) {
  if (name == "relu") return Activation::relu;
  if (name == "lrelu") return Activation::lrelu;
  if (name == "tanh") return Activation::tanh;
  if (name == "linear") return Activation::linear;
  throw py::value_error("conv1d: no activation is called " + name);
}

Algorithm algorithm_of(const std::string& name) {
  if (name == "direct") return Algorithm::direct;
  if (name == "toom4x5") return Algorithm::toom4x5;
  if (name == "toom6x5") return Algorithm::toom6x5;
  if (name == "toom12x13") return Algorithm::toom12x13;
  if (name == "bfloat16") return Algorithm::bfloat16;
  throw py::value_error("conv1d: no algorithm is called " + name);
}

Conv1dLayer layer_of(const Layer& given, Algorithm algorithm) {
  const auto& [weight, bias, stride, repetition, padding, activation, slope, unused] = given;
  if (weight.ndim() != 3 || bias.ndim() != 1 || bias.shape(0) != weight.shape(0))
    throw py::value_error("conv1d: weight must be [out, in, taps] and bias [out]");
  const Conv1dSpec spec = {weight.shape(1), weight.shape(0),           weight.shape(2), padding,  stride,
                           repetition,      activation_of(activation), slope,           algorithm};
  return Conv1dLayer(spec, weight.data(), bias.data());
}

std::vector<Conv1dLayer> layers_of(const std::vector<Layer>& given) {
  std::vector<Conv1dLayer> layers;
  for (const Layer& layer : given) {
    const std::string& named = std::get<7>(layer);
    const int k = static_cast<int>(layers.size()) % Pulse2PulseNetwork::kLayers;
    layers.push_back(layer_of(layer, named.empty() ? Pulse2PulseNetwork::algorithm(k) : algorithm_of(named)));
  }
  return layers;
}

// x [N, C, T] through one layer, in one layout or the other.
py::array_t<float> conv1d(const FloatArray& x, const Layer& given, const std::string& layout_name) {
  const Conv1dLayer layer = layer_of(given, algorithm_of(std::get<7>(given)));
  if (x.ndim() != 3 || x.shape(1) != layer.spec().in_channels) throw py::value_error("conv1d: x must be [N, in, T]");
  if (layout_name != "lanes" && layout_name != "channels") throw py::value_error("conv1d: no layout " + layout_name);
  const Layout layout = layout_name == "lanes" ? Layout::lanes : Layout::channels;
  const int64_t count = x.shape(0), length = x.shape(2), out_length = layer.out_length(length);
  const int64_t together = layout == Layout::lanes ? static_cast<int64_t>(kernels().lanes) : 1;
  py::array_t<float> out({count, layer.spec().out_channels, out_length});
  const float* from = x.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  ChannelBlock in_block(layout, layer.spec().in_channels, 0, length, layer.halo(length));
  ChannelBlock out_block(layout, layer.spec().out_channels, 0, out_length, 0);
  Scratch scratch;
  for (int64_t first = 0; first < count; first += together) {
    const int64_t samples = std::min(together, count - first);
    to_view(from + first * layer.spec().in_channels * length, samples, in_block.view());
    const ChannelView in = in_block.view(), result = out_block.view();
    layer.run({{&in, &result}}, scratch);
    from_view(out_block.view(), samples, to + first * layer.spec().out_channels * out_length);
  }
  return out;
}

py::array_t<int16_t> sample(const Pulse2PulseNetwork& network, uint64_t seed, uint64_t start, int64_t count,
                            int64_t length, float scale, unsigned threads) {
  py::array_t<int16_t> out({count, network.leads(), length});
  int16_t* to = out.mutable_data();
  py::gil_scoped_release release;
  network.sample(seed, start, count, length, scale, threads, to);
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

// out channels, in channels, taps, stride, repetition, padding, activation, slope
using Shape = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, std::string, float>;

// Weights of all layers as Pulse2PulseNetwork takes them packed.
py::array_t<float> pack(const std::vector<Layer>& given) {
  const std::vector<Conv1dLayer> layers = layers_of(given);
  int64_t size = 0;
  for (const Conv1dLayer& layer : layers) size += Conv1dLayer::packed_size(layer.spec());
  py::array_t<float> out(size);
  float* to = out.mutable_data();
  for (const Conv1dLayer& layer : layers) to = std::copy_n(layer.packed(), Conv1dLayer::packed_size(layer.spec()), to);
  return out;
}

std::unique_ptr<Pulse2PulseNetwork> from_packed(const std::vector<Shape>& shapes, const PackedArray& packed) {
  std::vector<Conv1dSpec> specs;
  int64_t size = 0;
  for (const auto& [out, in, taps, stride, repetition, padding, activation, slope] : shapes) {
    const int k = static_cast<int>(specs.size()) % Pulse2PulseNetwork::kLayers;
    specs.push_back({in, out, taps, padding, stride, repetition, activation_of(activation), slope,
                     Pulse2PulseNetwork::algorithm(k)});
    size += Conv1dLayer::packed_size(specs.back());
  }
  if (packed.ndim() != 1 || packed.size() != size)
    throw py::value_error("pulse2pulse: the packed weights do not fit the layers");
  std::vector<Conv1dLayer> layers;
  const float* from = packed.data();
  for (const Conv1dSpec& spec : specs) {
    layers.emplace_back(spec, from);
    from += Conv1dLayer::packed_size(spec);
  }
  return std::make_unique<Pulse2PulseNetwork>(std::move(layers));
}

}  // namespace

void bind_pulse2pulse(py::module_& module) {
  module.def("conv1d", &conv1d, py::arg("x"), py::arg("layer"), py::arg("layout") = "lanes",
             "x [N, C, T] through a layer: weight, bias, stride, repetition, padding, activation, slope, algorithm.");
  module.def("pack_pulse2pulse", &pack, py::arg("layers"), "The layers' weights as the network takes them, one array.");
  py::class_<Pulse2PulseNetwork>(module, "Pulse2PulseNetwork", "The ECG network whole.")
      .def(py::init(
               [](const std::vector<Layer>& given) { return std::make_unique<Pulse2PulseNetwork>(layers_of(given)); }),
           py::arg("layers"))
      .def(py::init(&from_packed), py::arg("shapes"), py::arg("packed").noconvert(), py::keep_alive<1, 3>())
      .def("run", &run, py::arg("noise"), py::arg("threads") = 0, "signal [N, leads, time] of noise of the same shape")
      .def("sample", &sample, py::arg("seed"), py::arg("start"), py::arg("count"), py::arg("length"), py::arg("scale"),
           py::arg("threads") = 0, "int16 [count, leads, length] of samples start to start + count - 1.");
}

}  // namespace python
}  // namespace dsb

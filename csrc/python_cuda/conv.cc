// The convolutions: arguments to a ConvLayer.
#include <pybind11/numpy.h>

#include <algorithm>
#include <optional>
#include <string>

#include "cuda/conv_layer.h"
#include "ops/bias_act.h"
#include "python_cuda/tensors.h"

namespace py = pybind11;

namespace dsb {
namespace python_cuda {
namespace {

using Taps = py::array_t<float, py::array::c_style | py::array::forcecast>;

cuda::ConvFilter filter_of(const std::optional<Taps>& taps, int up, int down) {
  cuda::ConvFilter filter;
  filter.times = (up > 1) + (down > 1);
  filter.gain = up > 1 ? static_cast<float>(up * up) : 1.0f;
  if (!taps) return filter;
  if (taps->ndim() < 1 || taps->ndim() > 2 || taps->size() == 0 || taps->size() > cuda::kMaxTaps)
    throw py::value_error("resample_filter has " + std::to_string(taps->size()) +
                          " taps, needs [t] or [h, w] of up to " + std::to_string(cuda::kMaxTaps));
  std::copy(taps->data(), taps->data() + taps->size(), filter.taps);
  filter.separable = taps->ndim() == 1;
  filter.width = static_cast<int>(taps->shape(taps->ndim() - 1));
  filter.height = static_cast<int>(taps->shape(0));
  return filter;
}

// What a modulated convolution does with its weights.
struct WeightUse {
  int up, down;
  std::vector<int> padding;
  cuda::ConvFilter filter;
  bool demodulate, flip_weight;

  void set(cuda::ConvLayer* layer) const {
    if (padding.size() != 4) throw py::value_error("padding needs left, right, top and bottom");
    layer->up_x = layer->up_y = up, layer->down_x = layer->down_y = down;
    layer->left = padding[0], layer->right = padding[1], layer->top = padding[2], layer->bottom = padding[3];
    layer->filter = filter, layer->demodulate = demodulate, layer->flip_weight = flip_weight;
  }

  bool same(const WeightUse& other) const {
    const cuda::ConvFilter &a = filter, &b = other.filter;
    return up == other.up && down == other.down && padding == other.padding && demodulate == other.demodulate &&
           flip_weight == other.flip_weight && a.height == b.height && a.width == b.width &&
           a.separable == b.separable && std::equal(a.taps, a.taps + cuda::kMaxTaps, b.taps);
  }
};

// Weights that are packed once, for calls whose x has their type and whose use is theirs.
class PackedWeight {
 public:
  PackedWeight(const py::object& weight, const py::object& like, WeightUse use, cuda::Stream stream)
      : use_(std::move(use)) {
    const Tensor x("like", like, stream), w("weight", weight, stream, &x);
    const CurrentDevice current(x.device());
    device_ = x.device(), layer_.x.array.type = x.float_type();
    layer_.weight = w.view();
    const Shape4& s = layer_.weight.shape;
    layer_.x.shape = {1, s.c, kSide, kSide};  // of any size: it is not used
    use_.set(&layer_);
    memory_.reset(allocate(prepared_weights_size(layer_), stream),
                  [device = device_](void* memory) { release_anywhere(memory, device); });
    without_lock([&] {
      prepare_weights(layer_, memory_.get(), stream);
      wait(stream);  // so that any stream may use them, and the weight itself may go
    });
    layer_.weight.array.data = nullptr;
  }

  // Into a layer with x. Throws py::value_error where it is another one.
  void set(const Tensor& x, const WeightUse& use, cuda::ConvLayer* layer) const {
    if (x.device() != device_ || layer->x.array.type != layer_.x.array.type || !use_.same(use))
      throw py::value_error(
          "weight was packed for another device, type of x, resampling or padding; it needs the same");
    layer->weight = layer_.weight, layer->prepared = memory_.get();
  }

  std::vector<int64_t> shape() const {
    const Shape4& s = layer_.weight.shape;
    return {s.n, s.c, s.h, s.w};
  }

 private:
  static constexpr int64_t kSide = 4096;
  WeightUse use_;
  int device_;
  cuda::ConvLayer layer_;
  std::shared_ptr<void> memory_;
};

// Arrays that are kept while their views are in use.
class Views {
 public:
  Views(const Tensor& x, cuda::Stream stream) : x_(x), stream_(stream) {}

  cuda::View of(const char* name, const py::object& array) {
    if (array.is_none()) return {};
    kept_.push_back(std::make_unique<Tensor>(name, array, stream_, &x_));
    return kept_.back()->view();
  }

  // [N, 1, H, W], or [H, W] for all samples.
  cuda::View plane(const char* name, const py::object& array) {
    cuda::View view = of(name, array);
    if (array.is_none() || kept_.back()->shape().size() != 2) return view;
    view.shape = {1, 1, view.shape.n, view.shape.c};
    view.steps = {0, view.steps.n, view.steps.channel, 0};
    return view;
  }

 private:
  const Tensor& x_;
  cuda::Stream stream_;
  std::vector<std::unique_ptr<Tensor>> kept_;
};

std::vector<int64_t> shape_like(const Tensor& x, const Shape4& s) {
  std::vector<int64_t> shape = {s.n, s.c, s.h, s.w};
  shape.resize(x.shape().size());
  return shape;
}

// A new result lies as x does, channels first or last.
std::vector<int64_t> steps_like(const Tensor& x, const cuda::View& view, const Shape4& s) {
  const bool last = !lies_as(view, cuda::channels_first(view.shape)) && view.steps.channel == 1;
  const cuda::Steps steps = last ? cuda::channels_last(s) : cuda::channels_first(s);
  std::vector<int64_t> out = {steps.n, steps.channel, steps.y, steps.x};
  out.resize(x.shape().size());
  return out;
}

// (y, scaled), or y alone where the layer has no scale.
py::object run(const Tensor& x, const cuda::ConvLayer& layer, const py::object& out, const py::object& scaled_out,
               cuda::Stream stream) {
  const Shape4 shape = conv_layer_shape(layer);
  const dlpack::DataType type = type_of(layer.x.array.type);
  const std::vector<int64_t> steps = steps_like(x, layer.x, shape);
  const Output y(out, type, shape_like(x, shape), steps, x, stream);
  std::optional<Output> scaled;
  if (layer.scale) scaled.emplace(scaled_out, type, shape_like(x, shape), y.tensor().steps(), x, stream);
  const cuda::View y_view = y.tensor().view(), scaled_view = scaled ? scaled->tensor().view() : cuda::View{};
  without_lock([&] {
    const Workspace workspace(conv_layer_workspace(layer), stream);
    conv_layer(layer, workspace.get(), stream, y_view, scaled_view);
  });
  return scaled ? py::object(py::make_tuple(y.object(), scaled->object())) : y.object();
}

void set_padding(const std::vector<int>& padding, cuda::ConvLayer* layer) {
  if (padding.size() != 4) throw py::value_error("padding needs left, right, top and bottom");
  layer->left = padding[0], layer->right = padding[1], layer->top = padding[2], layer->bottom = padding[3];
}

ActivationOptions activation_of(const std::string& act, float alpha, float gain, float clamp) {
  return {activation("act", act).kind, alpha, gain, clamp};
}

py::object modulated_conv2d(const py::object& x, const py::object& weight, const py::object& styles,
                            const py::object& noise, int up, int down, const std::vector<int>& padding,
                            const std::optional<Taps>& resample_filter, bool demodulate, bool flip_weight,
                            const py::object& noise_gain, const py::object& bias, const std::string& act, float alpha,
                            float gain, float clamp, float style_offset, const py::object& residual,
                            const py::object& scale, const py::object& out, const py::object& scaled_out,
                            uint64_t stream_number) {
  const cuda::Stream stream = stream_of(stream_number);
  const Tensor from("x", x, stream);
  const CurrentDevice current(from.device());
  Views views(from, stream);
  cuda::ConvLayer layer;
  layer.x = from.view();
  const WeightUse use = {up, down, padding, filter_of(resample_filter, up, down), demodulate, flip_weight};
  use.set(&layer);
  if (py::isinstance<PackedWeight>(weight)) {
    weight.cast<const PackedWeight&>().set(from, use, &layer);
  } else {
    layer.weight = views.of("weight", weight);
  }
  layer.styles = views.of("styles", styles), layer.noise = views.plane("noise", noise);
  layer.noise_gain = views.of("noise_gain", noise_gain), layer.bias = views.of("bias", bias);
  layer.residual = views.of("residual", residual), layer.scale = views.of("scale", scale);
  layer.style_offset = style_offset;
  layer.activation = activation_of(act, alpha, gain, clamp);
  return run(from, layer, out, scaled_out, stream);
}

py::object conv(const py::object& x, const py::object& weight, const py::object& bias, int repeat, int stride,
                const std::vector<int>& padding, const std::string& act, float alpha, float gain, float clamp,
                const py::object& residual, const py::object& out, uint64_t stream_number) {
  const cuda::Stream stream = stream_of(stream_number);
  const Tensor from("x", x, stream);
  const CurrentDevice current(from.device());
  Views views(from, stream);
  cuda::ConvLayer layer;
  layer.x = from.view();
  layer.weight = views.of("weight", weight), layer.bias = views.of("bias", bias);
  layer.residual = views.of("residual", residual);
  layer.repeat = true;
  layer.up_y = repeat, layer.down_y = stride;
  if (from.shape().size() == 4) layer.up_x = repeat, layer.down_x = stride;
  set_padding(padding, &layer);
  layer.activation = activation_of(act, alpha, gain, clamp);
  return run(from, layer, out, py::none(), stream);
}

}  // namespace

void bind_conv(py::module_& module) {
  const auto none = py::none();
  py::class_<PackedWeight>(module, "PackedWeight",
                           "The weight of modulated_conv2d, packed once for x as `like` and these settings. Waits.")
      .def(py::init([](const py::object& weight, const py::object& like, int up, int down,
                       const std::vector<int>& padding, const std::optional<Taps>& taps, bool demodulate,
                       bool flip_weight, uint64_t stream) {
             const WeightUse use = {up, down, padding, filter_of(taps, up, down), demodulate, flip_weight};
             return PackedWeight(weight, like, use, stream_of(stream));
           }),
           py::arg("weight"), py::arg("like"), py::arg("up"), py::arg("down"), py::arg("padding"),
           py::arg("resample_filter"), py::arg("demodulate"), py::arg("flip_weight"), py::arg("stream") = 0)
      .def_property_readonly("shape", &PackedWeight::shape);
  module.def("modulated_conv2d", &modulated_conv2d, py::arg("x"), py::arg("weight"), py::arg("styles"),
             py::arg("noise"), py::arg("up"), py::arg("down"), py::arg("padding"), py::arg("resample_filter"),
             py::arg("demodulate"), py::arg("flip_weight"), py::arg("noise_gain") = none, py::arg("bias") = none,
             py::arg("act") = "linear", py::arg("alpha") = 0.0f, py::arg("gain") = 1.0f, py::arg("clamp") = -1.0f,
             py::arg("style_offset") = 0.0f, py::arg("residual") = none, py::arg("scale") = none, py::arg("out") = none,
             py::arg("scaled_out") = none, py::arg("stream") = 0,
             "x [N, I, H, W]; weight [O, I, h, w]; styles [N, I]; padding left, right, top, bottom with the filter's "
             "share; resample_filter a host array; scale [N, O]: the result is (y, y * scale).");
  module.def("conv", &conv, py::arg("x"), py::arg("weight"), py::arg("bias") = none, py::arg("repeat") = 1,
             py::arg("stride") = 1, py::arg("padding") = std::vector<int>{0, 0, 0, 0}, py::arg("act") = "linear",
             py::arg("alpha") = 0.0f, py::arg("gain") = 1.0f, py::arg("clamp") = -1.0f, py::arg("residual") = none,
             py::arg("out") = none, py::arg("stream") = 0,
             "x [N, I, H, W] or [N, I, L], each point repeated; weight [O, I, h, w] or [O, I, k]; padding left, right, "
             "top, bottom of the repeated x; of one dimension the last two count.");
}

}  // namespace python_cuda
}  // namespace dsb

// Epilogue, ScaleChannels and UpsampleBilinear2d: what stands between convolutions.
//
// All have attribute layout, "NHWC" (if missing) or "NCHW", and x of float, float16 or bfloat16; what they make has x's
// type. The small inputs may have any of the three. N of any input may be 1 where another has more: one for all.
//
// Epilogue. Inputs: x [N, H, W, C]; all others may be left out: demodulation [N, C], plane [N, H, W], plane_weight [C]
// or [1], bias [C], residual as x, scale [N, C]. Attributes: act, alpha, gain (StyleGAN2-ADA's of the activation),
// clamp (-1: none), only_scaled (0). Outputs: y and, with scale, scaled; with only_scaled the one output is scaled.
//   v = act(x * demodulation + plane * plane_weight + bias) * gain, clamped; y = v + residual; scaled = y * scale
// ScaleChannels. Inputs: x, scale [N, C]. Output: x * scale.
// UpsampleBilinear2d. Inputs: x [N, H, W, C]; scale [N, C], may be left out. Output: [N, 2 H, 2 W, C].
#include <algorithm>
#include <stdexcept>

#include "cuda/ort/library.h"
#include "cuda/ort/operator.h"
#include "cuda/ort/tensors.h"
#include "ops/bias_act.h"

namespace dsb {
namespace cuda {
namespace {

ActivationOptions activation_of(const Attributes& attributes) {
  ActivationOptions options = dsb::activation(attributes.op() + ": attribute act", attributes.text("act", "linear"));
  options.alpha = attributes.number("alpha", options.alpha);
  options.gain = attributes.number("gain", options.gain);
  options.clamp = attributes.number("clamp", -1.0f);
  return options;
}

// The samples that all inputs together have: 1, or the one other number.
int64_t larger_batch(int64_t n, const DeviceTensor& tensor, int64_t size) {
  if (!tensor || size == 0 || tensor.count % size) return n;  // rows_of says what is wrong
  return n == 1 ? tensor.count / size : n;
}

template <Type type>
class EpilogueOperator {
 public:
  static constexpr const char* kName = "Epilogue";
  static constexpr DeviceInput kInputs[] = {
      {element(type)},
      {kAny, INPUT_OUTPUT_OPTIONAL},
      {kAny, INPUT_OUTPUT_OPTIONAL},
      {kAny, INPUT_OUTPUT_OPTIONAL},
      {kAny, INPUT_OUTPUT_OPTIONAL},
      {element(type), INPUT_OUTPUT_OPTIONAL},
      {kAny, INPUT_OUTPUT_OPTIONAL},
  };
  static constexpr DeviceOutput kOutputs[] = {{element(type)}, {element(type), INPUT_OUTPUT_OPTIONAL}};

  explicit EpilogueOperator(const Ort::ConstKernelInfo& info) {
    const Attributes attributes(info, kName);
    channels_first_ = channels_first(attributes);
    options_ = activation_of(attributes);
    only_scaled_ = attributes.flag("only_scaled", false);
  }

  void compute(const Ort::KernelContext& context) const {
    const DeviceTensor x = device_input(context, kName, 0, "x");
    const DeviceTensor demodulation = device_input(context, kName, 1, "demodulation");
    const DeviceTensor plane = device_input(context, kName, 2, "plane");
    const DeviceTensor residual = device_input(context, kName, 5, "residual");
    const DeviceTensor scale = device_input(context, kName, 6, "scale");
    Epilogue what = {};
    what.type = type, what.activation = options_;
    what.shape = image_of(kName, "x", x.shape, channels_first_);
    const int64_t pixels = what.shape.h * what.shape.w, c = what.shape.c, sample = pixels * c;
    int64_t n = what.shape.n;
    n = larger_batch(n, demodulation, c), n = larger_batch(n, plane, pixels);
    n = larger_batch(n, residual, sample), n = larger_batch(n, scale, c);
    what.x = rows_of(kName, "x", x, sample, n, "[N, ...]");
    what.shape.n = n;
    if (demodulation) what.demodulation = rows_of(kName, "demodulation", demodulation, c, n, "[N, C]");
    if (plane) what.plane = rows_of(kName, "plane", plane, pixels, n, "[N, H, W]");
    if (residual) what.residual = rows_of(kName, "residual", residual, sample, n, "the shape of x");
    if (scale) what.scale = rows_of(kName, "scale", scale, c, n, "[N, C]");
    read_channels(context, &what);
    run(context, what, x.shape);
  }

 private:
  // plane_weight and bias.
  void read_channels(const Ort::KernelContext& context, Epilogue* what) const {
    const int64_t c = what->shape.c;
    const DeviceTensor weight = device_input(context, kName, 3, "plane_weight");
    const DeviceTensor bias = device_input(context, kName, 4, "bias");
    if (weight && weight.count != 1 && weight.count != c)
      throw std::invalid_argument(std::string(kName) + ": plane_weight is " + ort::text(weight.shape) + ", needs [" +
                                  std::to_string(c) + "] or [1]");
    if (bias) rows_of(kName, "bias", bias, c, 1, "[C]");
    what->plane_weight = weight.array, what->bias = bias.array;
    what->one_plane_weight = weight.count == 1;
  }

  void run(const Ort::KernelContext& context, const Epilogue& what, Dimensions shape) const {
    shape[0] = what.shape.n;
    void *y = nullptr, *scaled = nullptr;
    if (only_scaled_) {
      scaled = output_data(context, 0, shape);
    } else {
      y = output_data(context, 0, shape), scaled = output_data(context, 1, shape);
    }
    if (what.shape.size() == 0) return;
    if (scaled && !what.scale.array.data)
      throw std::invalid_argument(std::string(kName) + ": the scaled output needs input scale");
    epilogue(what, stream_of(context), y, scaled);
  }

  ActivationOptions options_;
  bool channels_first_, only_scaled_;
};

template <Type type>
class ScaleChannels {
 public:
  static constexpr const char* kName = "ScaleChannels";
  static constexpr DeviceInput kInputs[] = {{element(type)}, {kAny}};
  static constexpr DeviceOutput kOutputs[] = {{element(type)}};

  explicit ScaleChannels(const Ort::ConstKernelInfo& info) : channels_first_(channels_first(Attributes(info, kName))) {}

  void compute(const Ort::KernelContext& context) const {
    const DeviceTensor x = device_input(context, kName, 0, "x"), scale = device_input(context, kName, 1, "scale");
    Epilogue what = {};
    what.type = type, what.activation = {Activation::linear, 0.0f, 1.0f, -1.0f};
    what.shape = image_of(kName, "x", x.shape, channels_first_);
    const int64_t c = what.shape.c, n = larger_batch(what.shape.n, scale, c);
    what.x = rows_of(kName, "x", x, what.shape.h * what.shape.w * c, n, "[N, ...]");
    what.scale = rows_of(kName, "scale", scale, c, n, "[N, C]");
    what.shape.n = n;
    Dimensions shape = x.shape;
    shape[0] = n;
    void* out = output_data(context, 0, shape);
    if (what.shape.size()) epilogue(what, stream_of(context), nullptr, out);
  }

 private:
  bool channels_first_;
};

template <Type type>
class UpsampleBilinear2d {
 public:
  static constexpr const char* kName = "UpsampleBilinear2d";
  static constexpr DeviceInput kInputs[] = {{element(type)}, {kAny, INPUT_OUTPUT_OPTIONAL}};
  static constexpr DeviceOutput kOutputs[] = {{element(type)}};

  explicit UpsampleBilinear2d(const Ort::ConstKernelInfo& info)
      : channels_first_(channels_first(Attributes(info, kName))) {}

  void compute(const Ort::KernelContext& context) const {
    const DeviceTensor x = device_input(context, kName, 0, "x"), scale = device_input(context, kName, 1, "scale");
    const Image in = image4_of(kName, "x", x.shape, channels_first_);
    const Rows factors = scale ? rows_of(kName, "scale", scale, in.c, in.n, "[N, C]") : Rows{};
    Dimensions shape = x.shape;
    const size_t row = channels_first_ ? 2 : 1;
    shape[row] *= 2, shape[row + 1] *= 2;
    void* y = output_data(context, 0, shape);
    upsample_bilinear2d(in, type, x.array.data, factors, stream_of(context), y);
  }

 private:
  bool channels_first_;
};

template <Type type>
void add(Ort::CustomOpDomain& domain) {
  domain.Add(device_operator<EpilogueOperator<type>>());
  domain.Add(device_operator<ScaleChannels<type>>());
  domain.Add(device_operator<UpsampleBilinear2d<type>>());
}

}  // namespace

void add_layers(Ort::CustomOpDomain& domain) {
  add<Type::float32>(domain);
  add<Type::float16>(domain);
  add<Type::bfloat16>(domain);
}

}  // namespace cuda
}  // namespace dsb

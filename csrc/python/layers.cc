#include <optional>

#include "ops/attention.h"
#include "ops/conv1x1.h"
#include "ops/conversions.h"
#include "ops/dense.h"
#include "ops/feed_forward.h"
#include "ops/image_layers.h"
#include "ops/linear_attention.h"
#include "python/arrays.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace dsb {
namespace python {
namespace {

FloatArray bind_upsample_bilinear2d(const FloatArray& x, unsigned threads) {
  const Shape4 s = shape_of(x, "x");
  FloatArray out = make({s.n, s.c, 2 * s.h, 2 * s.w});
  const float* from = x.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  upsample_bilinear2d(from, s, threads, to);
  return out;
}

FloatArray bind_blur2d(const FloatArray& x, unsigned threads) {
  const Shape4 s = shape_of(x, "x");
  FloatArray out = make(s);
  const float* from = x.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  blur2d(from, s, threads, to);
  return out;
}

FloatArray bind_channel_norm(const FloatArray& x, const FloatArray& gain, const FloatArray& bias, float eps,
                             bool eps_to_deviation, unsigned threads) {
  const Shape4 s = shape_of(x, "x");
  if (gain.size() != s.c || bias.size() != s.c) throw py::value_error("channel_norm: a value a channel");
  FloatArray out = make(s);
  const float *from = x.data(), *g = gain.data(), *b = bias.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  channel_norm(from, s, g, b, eps, eps_to_deviation, threads, to);
  return out;
}

FloatArray bind_instance_norm(const FloatArray& x, const FloatArray& gain, const FloatArray& bias, float eps,
                              unsigned threads) {
  const Shape4 s = shape_of(x, "x");
  if (gain.size() != s.c || bias.size() != s.c) throw py::value_error("instance_norm: a value a channel");
  FloatArray out = make(s);
  const float *from = x.data(), *g = gain.data(), *b = bias.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  instance_norm(from, s, g, b, eps, threads, to);
  return out;
}

FloatArray bind_depthwise_conv2d(const FloatArray& x, const FloatArray& weight, int64_t padding, unsigned threads) {
  const Shape4 s = shape_of(x, "x");
  if (weight.ndim() != 3 || weight.shape(0) != s.c) throw py::value_error("depthwise_conv2d: weight is [C, h, w]");
  const DepthwiseConv conv = {weight.shape(1), weight.shape(2), padding};
  FloatArray out = make(depthwise_conv2d_shape(s, conv));
  const float *from = x.data(), *w = weight.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  depthwise_conv2d(from, s, w, conv, threads, to);
  return out;
}

FloatArray bind_conv1x1(const FloatArray& x, const FloatArray& weight, const std::optional<FloatArray>& bias,
                        const std::string& act, float alpha, float gain, const std::optional<FloatArray>& residual,
                        unsigned threads) {
  const Shape4 s = shape_of(x, "x");
  if (weight.ndim() != 2 || weight.shape(1) != s.c) throw py::value_error("conv1x1: weight is [out, in]");
  Conv1x1 conv = {weight.data(), weight.shape(0)};
  const Shape4 result = {s.n, conv.out_channels, s.h, s.w};
  if (bias && bias->size() != result.c) throw py::value_error("conv1x1: bias is [out]");
  if (residual && residual->size() != result.size()) throw py::value_error("conv1x1: residual has the result's shape");
  conv.bias = bias ? bias->data() : nullptr;
  conv.residual = residual ? residual->data() : nullptr;
  conv.activation = options_of(act, alpha, gain, -1.0f);
  FloatArray out = make(result);
  const float* from = x.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  conv1x1(from, s, conv, threads, to);
  return out;
}

FloatArray bind_linear_attention(const FloatArray& q, const FloatArray& k, const FloatArray& v, int64_t heads,
                                 float q_scale, float k_scale, float out_scale, unsigned threads) {
  const LinearAttention attention = {heads, q_scale, k_scale, out_scale};
  const Shape4 features = shape_of(q, "q"), values = shape_of(v, "v");
  FloatArray out = make(linear_attention_shape(features, shape_of(k, "k"), values, attention));
  const float *query = q.data(), *key = k.data(), *value = v.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  linear_attention(query, key, value, features, values, attention, threads, to);
  return out;
}

FloatArray bind_attention(const FloatArray& x, const FloatArray& source, const FloatArray& to_q, const FloatArray& to_k,
                          const FloatArray& to_v, const FloatArray& to_out, const std::optional<FloatArray>& q_bias,
                          const std::optional<FloatArray>& v_bias, const std::optional<FloatArray>& out_bias,
                          const std::optional<FloatArray>& residual, int64_t heads, float q_scale, float k_scale,
                          float out_scale, bool gelu, float gain, unsigned threads, bool bfloat16_products) {
  const Shape4 s = shape_of(x, "x");
  for (const FloatArray* weight : {&to_q, &to_k, &to_v, &to_out})
    if (weight->ndim() != 2) throw py::value_error("attention: weights are [out, in]");
  const int64_t wide = to_q.shape(0), values = to_v.shape(0), made = to_out.shape(0);
  if (heads < 1 || wide % heads || values % heads || to_k.shape(0) != wide || to_q.shape(1) != s.c ||
      to_k.shape(1) != s.c || to_v.shape(1) != s.c || to_out.shape(1) != values || source.size() != x.size())
    throw py::value_error("attention: weights do not fit");
  const Shape4 result = {s.n, made, s.h, s.w};
  if ((q_bias && q_bias->size() != wide) || (v_bias && v_bias->size() != values) ||
      (out_bias && out_bias->size() != made) || (residual && residual->size() != result.size()))
    throw py::value_error("attention: biases or residual do not fit");
  const auto data = [](const std::optional<FloatArray>& array) { return array ? array->data() : nullptr; };
  const AttentionSpec spec = {s.c,       heads, wide / heads, values / heads,   made, q_scale, k_scale,
                              out_scale, gain,  gelu,         bfloat16_products};
  const AttentionWeights weights = {to_q.data(),  data(q_bias),  to_k.data(),   to_v.data(),
                                    data(v_bias), to_out.data(), data(out_bias)};
  FloatArray out = make(result);
  const float *from = x.data(), *near = source.data(), *added = data(residual);
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  Attention(spec, weights).run(from, near, added, s, threads, to);
  return out;
}

FloatArray bind_feed_forward(const FloatArray& x, const FloatArray& w1, const std::optional<FloatArray>& b1,
                             const FloatArray& w2, const std::optional<FloatArray>& b2, float slope, float gain,
                             const std::optional<FloatArray>& residual, unsigned threads, bool bfloat16_products) {
  const Shape4 s = shape_of(x, "x");
  if (w1.ndim() != 2 || w2.ndim() != 2 || w1.shape(1) != s.c || w2.shape(1) != w1.shape(0))
    throw py::value_error("feed_forward: weights are [hidden, in] and [out, hidden]");
  const Shape4 result = {s.n, w2.shape(0), s.h, s.w};
  if ((b1 && b1->size() != w1.shape(0)) || (b2 && b2->size() != result.c) ||
      (residual && residual->size() != result.size()))
    throw py::value_error("feed_forward: biases or residual do not fit");
  const auto data = [](const std::optional<FloatArray>& array) { return array ? array->data() : nullptr; };
  const FeedForwardSpec spec = {s.c, w1.shape(0), result.c, slope, gain, bfloat16_products};
  FloatArray out = make(result);
  const float *from = x.data(), *first = w1.data(), *second = w2.data(), *added = data(residual);
  const float *bias1 = data(b1), *bias2 = data(b2);
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  FeedForward(spec, first, bias1, second, bias2).run(from, added, s, threads, to);
  return out;
}

FloatArray bind_dense(const FloatArray& x, const FloatArray& weight, const std::optional<FloatArray>& bias,
                      float weight_gain, float bias_gain, const std::string& act, float alpha, float gain,
                      unsigned threads) {
  if (x.ndim() != 2 || weight.ndim() != 2 || weight.shape(1) != x.shape(1))
    throw py::value_error("dense: x is [N, in] and weight [out, in]");
  if (bias && bias->size() != weight.shape(0)) throw py::value_error("dense: bias is [out]");
  const DenseSpec spec = {weight.shape(1), weight.shape(0), weight_gain, bias_gain,
                          options_of(act, alpha, gain, -1.0f)};
  FloatArray out({x.shape(0), weight.shape(0)});
  const float *from = x.data(), *w = weight.data(), *b = bias ? bias->data() : nullptr;
  float* to = out.mutable_data();
  const int64_t count = x.shape(0);
  py::gil_scoped_release release;
  DenseLayer(spec, w, b).run(from, count, threads, to);
  return out;
}

FloatArray bind_normalize_latent(const FloatArray& z, const std::string& kind) {
  if (z.ndim() != 2) throw py::value_error("normalize_latent: z is [N, features]");
  if (kind != "l2" && kind != "rms") throw py::value_error("normalize_latent: no kind is called " + kind);
  FloatArray out({z.shape(0), z.shape(1)});
  const int64_t count = z.shape(0), length = z.shape(1);
  const float* from = z.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  normalize_latent(from, count, length, kind == "l2" ? LatentNorm::l2 : LatentNorm::rms, to);
  return out;
}

py::object bind_grey_levels(const FloatArray& image, float scale, float offset, unsigned threads) {
  const Shape4 s = shape_of(image, "image");
  py::array_t<uint8_t> out({s.n, s.h, s.w, s.c});
  const float* from = image.data();
  uint8_t* to = out.mutable_data();
  bool numbers;
  {
    py::gil_scoped_release release;
    numbers = grey_levels(from, s, scale, offset, threads, to);
  }
  return numbers ? py::object(std::move(out)) : py::none();
}

}  // namespace

void bind_layers(py::module_& module) {
  const auto x = py::arg("x").noconvert(), weight = py::arg("weight").noconvert(), bias = py::arg("bias").noconvert();
  const auto threads = py::arg("threads");
  const auto products = py::arg("bfloat16_products") = false;
  module.def("upsample_bilinear2d", &bind_upsample_bilinear2d, x, threads, "x [N, C, H, W] to twice the size.");
  module.def("blur2d", &bind_blur2d, x, threads, "x [N, C, H, W] blurred, edges reflected.");
  module.def("channel_norm", &bind_channel_norm, x, py::arg("g").noconvert(), py::arg("b").noconvert(), py::arg("eps"),
             py::arg("eps_to_deviation"), threads, "x [N, C, H, W] normalised over C; g and b [C].");
  module.def("instance_norm", &bind_instance_norm, x, py::arg("g").noconvert(), py::arg("b").noconvert(),
             py::arg("eps"), threads, "x [N, C, H, W] normalised over H and W; g and b [C].");
  module.def("depthwise_conv2d", &bind_depthwise_conv2d, x, weight, py::arg("padding"), threads,
             "x [N, C, H, W], weight [C, h, w]; zeros around.");
  module.def("conv1x1", &bind_conv1x1, x, weight, bias, py::arg("act"), py::arg("alpha"), py::arg("gain"),
             py::arg("residual").noconvert(), threads,
             "x [N, I, H, W], weight [O, I], bias [O], residual [N, O, H, W] added last.");
  module.def("linear_attention", &bind_linear_attention, py::arg("q").noconvert(), py::arg("k").noconvert(),
             py::arg("v").noconvert(), py::arg("heads"), py::arg("q_scale"), py::arg("k_scale"), py::arg("out_scale"),
             threads, "q, k [N, heads * d, H, W], v [N, heads * e, H, W].");
  module.def("attention", &bind_attention, x, py::arg("source").noconvert(), py::arg("to_q").noconvert(),
             py::arg("to_k").noconvert(), py::arg("to_v").noconvert(), py::arg("to_out").noconvert(),
             py::arg("q_bias").noconvert(), py::arg("v_bias").noconvert(), py::arg("out_bias").noconvert(),
             py::arg("residual").noconvert(), py::arg("heads"), py::arg("q_scale"), py::arg("k_scale"),
             py::arg("out_scale"), py::arg("gelu"), py::arg("gain"), threads, products,
             "x and source [N, C, H, W], weights [out, in], residual [N, O, H, W] added last.");
  module.def("feed_forward", &bind_feed_forward, x, py::arg("w1").noconvert(), py::arg("b1").noconvert(),
             py::arg("w2").noconvert(), py::arg("b2").noconvert(), py::arg("slope"), py::arg("gain"),
             py::arg("residual").noconvert(), threads, products,
             "x [N, I, H, W], w1 [M, I], w2 [O, M], residual added last.");
  module.def("dense", &bind_dense, x, weight, bias, py::arg("weight_gain"), py::arg("bias_gain"), py::arg("act"),
             py::arg("alpha"), py::arg("gain"), threads, "x [N, I], weight [O, I], bias [O].");
  module.def("normalize_latent", &bind_normalize_latent, py::arg("z").noconvert(), py::arg("kind"),
             "z [N, features]; kind l2 or rms.");
  module.def("grey_levels", &bind_grey_levels, py::arg("image").noconvert(), py::arg("scale"), py::arg("offset"),
             threads, "image [N, C, H, W] to uint8 [N, H, W, C]; None if a value is not a number.");
}

}  // namespace python
}  // namespace dsb

#include "cuda/conv_layer.h"

#include <stdexcept>
#include <string>

#include "cuda/conv.h"

namespace dsb {
namespace cuda {
namespace {

[[noreturn]] void refuse(const char* name, const Shape4& given, const Shape4& needed) {
  throw std::invalid_argument(std::string("conv: ") + name + " is " + text(given) + ", needs " + text(needed));
}

void need(const char* name, const View& view, const Shape4& shape) {
  const Shape4& s = view.shape;
  if (view && (s.n != shape.n || s.c != shape.c || s.h != shape.h || s.w != shape.w)) refuse(name, s, shape);
}

ConvAxis axis_of(const char* what, int64_t in, int64_t kernel, int64_t taps, int up, int down, int before, int after,
                 const ConvLayer& layer) {
  ConvAxis axis;
  axis.in = static_cast<int>(in);
  axis.size = static_cast<int>(kernel + layer.filter.times * (taps - 1));
  axis.up = up, axis.down = down, axis.pad = before;
  axis.repeat = layer.repeat;
  plan_axis(what, after, &axis);
  return axis;
}

ConvGeometry geometry_of(const ConvLayer& layer) {
  const Shape4 &x = layer.x.shape, &w = layer.weight.shape;
  if (w.c != x.c) refuse("weight", w, {w.n, x.c, w.h, w.w});
  for (const int64_t size : {x.n, x.c, x.h, x.w, w.n, w.h, w.w})
    if (size > 1 << 28) throw std::invalid_argument("conv: x is " + text(x) + ", weight " + text(w) + ", too large");
  ConvGeometry g;
  g.batch = static_cast<int>(x.n), g.in_channels = static_cast<int>(x.c), g.out_channels = static_cast<int>(w.n);
  const ConvFilter& f = layer.filter;
  g.y = axis_of("conv: y", x.h, w.h, f.height, layer.up_y, layer.down_y, layer.top, layer.bottom, layer);
  g.x = axis_of("conv: x", x.w, w.w, f.width, layer.up_x, layer.down_x, layer.left, layer.right, layer);
  plan_conv("conv", &g);
  g.in = layer.x.steps;
  return g;
}

// Hands out parts of the workspace, or only counts.
class Parts {
 public:
  Parts() = default;
  explicit Parts(void* workspace) : base_(static_cast<char*>(workspace)), counting_(false) {}

  template <typename T>
  T* take(uint64_t count) {
    char* part = counting_ ? nullptr : base_ + used_;
    used_ += (count * sizeof(T) + 255) / 256 * 256;
    return reinterpret_cast<T*>(part);
  }

  size_t used() const { return used_; }
  bool counting() const { return counting_; }

 private:
  char* base_ = nullptr;
  bool counting_ = true;
  size_t used_ = 0;
};

const float* as_floats(const View& view, Parts* parts, Stream stream) {
  if (!view) return nullptr;
  if (view.array.type == Type::float32 && lies_as(view, channels_first(view.shape)))
    return static_cast<const float*>(view.array.data);
  float* copy = parts->take<float>(view.shape.size());
  if (!parts->counting()) gather(view, false, stream, copy);
  return copy;
}

// What a layer makes of its weights: packed, and their squares, which demodulation needs.
template <typename T>
struct PreparedWeights {
  PackWeights<T> pack;
  float* squares;

  PreparedWeights(const ConvLayer& layer, const ConvGeometry& geometry, Parts* parts)
      : pack{layer.weight, !layer.flip_weight, layer.filter, geometry, nullptr} {
    pack.packed = parts->take<T>(pack.count());
    squares = layer.demodulate ? parts->take<float>(layer.weight.shape.n * layer.weight.shape.c) : nullptr;
  }

  void make(Stream stream) const {
    pack_weights(pack, stream);
    if (squares) square_weights(WeightSquares<T>{pack.weight, squares}, stream);
  }
};

// The factors of the sum, [N, out]; *prepared becomes what x is multiplied by.
const float* apply_styles(const ConvLayer& layer, const float* squares, Parts* parts, Stream stream,
                          const float** prepared) {
  if (!layer.styles || layer.x.shape.c == 0) return nullptr;  // no products, nothing to scale
  const int64_t n = layer.x.shape.n, in = layer.x.shape.c, out = layer.weight.shape.n;
  auto* styles = parts->take<float>(n * in);
  auto *divisors = parts->take<float>(n), *factors = parts->take<float>(n * out);
  *prepared = styles;
  if (parts->counting()) return factors;
  const bool half = layer.x.array.type == Type::float16;
  prepare_styles({layer.styles, layer.style_offset, half, styles, divisors}, stream);
  demodulate({styles, divisors, squares, static_cast<int>(in), static_cast<int>(out), factors}, n, stream);
  return factors;
}

template <typename T>
void run(const ConvLayer& layer, Parts* parts, Stream stream, const View& y, const View& scaled) {
  ConvCall<T> call{};
  call.geometry = geometry_of(layer);
  call.geometry.out = (y ? y : scaled).steps;
  Parts kept(const_cast<void*>(layer.prepared));
  const PreparedWeights<T> weights(layer, call.geometry, layer.prepared ? &kept : parts);
  if (!layer.prepared && !parts->counting()) weights.make(stream);
  ConvEpilogue<T>& e = call.epilogue;
  e.demodulation = apply_styles(layer, weights.squares, parts, stream, &call.styles);
  e.plane = as_floats(layer.noise, parts, stream);
  e.plane_step = layer.noise && layer.noise.shape.n > 1 ? layer.noise.shape.h * layer.noise.shape.w : 0;
  e.plane_weight = as_floats(layer.noise_gain, parts, stream);
  e.bias = as_floats(layer.bias, parts, stream);
  e.scale = as_floats(layer.scale, parts, stream);
  e.activation = layer.activation;
  e.residual = static_cast<const T*>(layer.residual.array.data), e.residual_steps = layer.residual.steps;
  if (parts->counting()) return;
  call.x = static_cast<const T*>(layer.x.array.data), call.packed = weights.pack.packed;
  e.y = static_cast<T*>(const_cast<void*>(y.array.data));
  e.scaled = static_cast<T*>(const_cast<void*>(scaled.array.data));
  conv(call, stream);
}

void run(const ConvLayer& layer, Parts* parts, Stream stream, const View& y, const View& scaled) {
  with_type(layer.x.array.type, [&](auto value) { run<decltype(value)>(layer, parts, stream, y, scaled); });
}

}  // namespace

Shape4 conv_layer_shape(const ConvLayer& layer) {
  const ConvGeometry g = geometry_of(layer);
  const Shape4 shape = {g.batch, g.out_channels, g.y.out, g.x.out};
  need("styles", layer.styles, {shape.n, g.in_channels, 1, 1});
  need("noise", layer.noise, {layer.noise.shape.n == 1 ? 1 : shape.n, 1, shape.h, shape.w});
  need("noise_gain", layer.noise_gain, {shape.c, 1, 1, 1});
  need("bias", layer.bias, {shape.c, 1, 1, 1});
  need("residual", layer.residual, shape);
  need("scale", layer.scale, {shape.n, shape.c, 1, 1});
  if (layer.residual && layer.residual.array.type != layer.x.array.type)
    throw std::invalid_argument("conv: residual has another type than x; it needs the same");
  return shape;
}

size_t prepared_weights_size(const ConvLayer& layer) {
  Parts parts;
  with_type(layer.x.array.type,
            [&](auto value) { PreparedWeights<decltype(value)>(layer, geometry_of(layer), &parts); });
  return parts.used();
}

void prepare_weights(const ConvLayer& layer, void* memory, Stream stream) {
  Parts parts(memory);
  with_type(layer.x.array.type,
            [&](auto value) { PreparedWeights<decltype(value)>(layer, geometry_of(layer), &parts).make(stream); });
}

size_t conv_layer_workspace(const ConvLayer& layer) {
  Parts parts;
  run(layer, &parts, nullptr, layer.x, {});
  return parts.used();
}

void conv_layer(const ConvLayer& layer, void* workspace, Stream stream, const View& y, const View& scaled) {
  const Shape4 shape = conv_layer_shape(layer);
  need("y", y, shape);
  need("scaled", scaled, shape);
  for (const View* result : {&y, &scaled})
    if (*result && result->array.type != layer.x.array.type)
      throw std::invalid_argument("conv: the result has another type than x; it needs the same");
  if (y && scaled && !lies_as(scaled, y.steps))
    throw std::invalid_argument("conv: y and scaled lie differently in memory; they need the same strides");
  if (shape.size() == 0) return;
  Parts parts(workspace);
  run(layer, &parts, stream, y, scaled);
}

}  // namespace cuda
}  // namespace dsb

// The operators that are kernels of their own.
#include <pybind11/numpy.h>

#include <functional>
#include <numeric>
#include <string>
#include <tuple>

#include "cuda/kernels.h"
#include "ops/bias_act.h"
#include "ops/upfirdn2d.h"
#include "python_cuda/tensors.h"

namespace py = pybind11;

namespace dsb {
namespace python_cuda {
namespace {

using Taps = py::array_t<float, py::array::c_style | py::array::forcecast>;
// Taps, up, down, padding and gain of each filter.
using Step = std::tuple<Taps, std::vector<int64_t>, std::vector<int64_t>, std::vector<int64_t>, float>;

FilterSteps steps_of(const std::vector<Step>& given, bool flip_filter) {
  FilterSteps steps;
  for (const auto& [taps, up, down, padding, gain] : given) {
    if (taps.ndim() != 2 || up.size() != 2 || down.size() != 2 || padding.size() != 4)
      throw py::value_error("upfirdn2d: a step is taps [h, w], up, down, padding and gain");
    const Resampling how = {up[0],      up[1],      down[0],    down[1],     padding[0],
                            padding[1], padding[2], padding[3], flip_filter, gain};
    steps.emplace_back(Filter{taps.data(), taps.shape(0), taps.shape(1)}, how);
  }
  return steps;
}

cuda::Image image_of(const Shape4& s, bool channels_first) { return {s.n, s.c, s.h, s.w, channels_first}; }

size_t bytes_of(const cuda::View& x) { return x.shape.size() * (x.array.type == cuda::Type::float32 ? 4 : 2); }

// x itself where it lies so, else a copy, which takes memory of the device only then.
class Lying {
 public:
  Lying(const cuda::View& x, bool channels_first, cuda::Stream stream)
      : direct_(lies_as(x, channels_first ? cuda::channels_first(x.shape) : cuda::channels_last(x.shape))),
        copy_(direct_ ? 0 : bytes_of(x), stream),
        array_(x.array) {
    if (direct_) return;
    cuda::with_type(x.array.type, [&](auto value) {
      cuda::gather(x, !channels_first, stream, static_cast<decltype(value)*>(copy_.get()));
    });
    array_.data = copy_.get();
  }

  const cuda::Array& array() const { return array_; }

 private:
  bool direct_;
  Workspace copy_;
  cuda::Array array_;
};

// Whether a result that is made, or given, has its channels first; throws where it has neither order.
bool has_channels_first(const cuda::View& x, const py::object& out, const cuda::View& y) {
  const cuda::View& decides = out.is_none() ? x : y;
  if (lies_as(decides, cuda::channels_first(decides.shape))) return true;
  if (lies_as(decides, cuda::channels_last(decides.shape))) return false;
  if (!out.is_none()) throw py::value_error("out has gaps or another order; it needs channels first or last");
  return true;
}

// An image batch of `shape` that work(in, x, y) makes of x; it lies as x does, channels first or last.
template <typename Work>
py::object image_out(const Tensor& from, const Shape4& s, const py::object& out, cuda::Stream stream,
                     const Work& work) {
  const cuda::View view = from.view();
  const bool first = has_channels_first(view, py::none(), view);
  const cuda::Steps lie = first ? cuda::channels_first(s) : cuda::channels_last(s);
  const Output y(out, type_of(view.array.type), {s.n, s.c, s.h, s.w}, {lie.n, lie.channel, lie.y, lie.x}, from, stream);
  const bool channels_first = has_channels_first(view, y.object(), y.tensor().view());
  without_lock([&] {
    const Lying x(view, channels_first, stream);
    work(image_of(view.shape, channels_first), view.array.type, x.array().data, y.tensor().data());
  });
  return y.object();
}

void need_images(const Tensor& x) {
  if (x.shape().size() != 4) x.refuse("must have four dimensions");
}

py::object bind_upfirdn2d(const py::object& x, const std::vector<Step>& given, bool flip_filter, const py::object& out,
                          uint64_t stream_number) {
  const cuda::Stream stream = stream_of(stream_number);
  const Tensor from("x", x, stream);
  need_images(from);
  const CurrentDevice current(from.device());
  const FilterSteps steps = steps_of(given, flip_filter);
  const auto work = [&](const cuda::Image& in, cuda::Type type, const void* data, void* y) {
    cuda::upfirdn2d(in, type, data, steps, stream, y);
  };
  return image_out(from, upfirdn2d_shape(from.view().shape, steps), out, stream, work);
}

py::object bind_upsample_bilinear2d(const py::object& x, const py::object& out, uint64_t stream_number) {
  const cuda::Stream stream = stream_of(stream_number);
  const Tensor from("x", x, stream);
  need_images(from);
  const CurrentDevice current(from.device());
  const Shape4 s = from.view().shape;
  const auto work = [&](const cuda::Image& in, cuda::Type type, const void* data, void* y) {
    cuda::upsample_bilinear2d(in, type, data, {}, stream, y);
  };
  return image_out(from, {s.n, s.c, 2 * s.h, 2 * s.w}, out, stream, work);
}

// All of an array that is known to be dense, in the order of its memory.
cuda::View flat_of(const Tensor& x) { return {{x.data(), x.float_type()}, {1, 1, 1, x.size()}, {0, 0, 1, 0}}; }

int64_t product(const std::vector<int64_t>& sizes, size_t from, size_t to) {
  return std::accumulate(sizes.begin() + from, sizes.begin() + to, int64_t{1}, std::multiplies<int64_t>());
}

py::object bind_bias_act(const py::object& x, const py::object& bias, int dim, const std::string& act, float alpha,
                         float gain, float clamp, const py::object& out, uint64_t stream_number) {
  const cuda::Stream stream = stream_of(stream_number);
  const Tensor from("x", x, stream);
  const CurrentDevice current(from.device());
  const std::vector<int64_t> shape = from.shape();
  const size_t axes = shape.size(), axis = static_cast<size_t>(dim);
  const dlpack::DataType type = from.type();
  cuda::Epilogue what;
  what.type = from.float_type();
  what.activation = {activation("act", act).kind, alpha, gain, clamp};
  std::unique_ptr<Tensor> b;
  if (!bias.is_none()) {
    b = std::make_unique<Tensor>("b", bias, stream, &from);
    if (dim < 0 || axis >= axes || b->shape() != std::vector<int64_t>{shape[axis]})
      b->refuse("needs a value for each place along the dimension");
    what.bias = {b->dense(b->type()), b->float_type()};
  }
  const bool last = axes == 4 && (!b || axis == 1) && !lies_as(from.view(), cuda::channels_first(from.view().shape)) &&
                    lies_as(from.view(), cuda::channels_last(from.view().shape));
  what.shape = last ? image_of(from.view().shape, false)
               : b  ? cuda::Image{product(shape, 0, axis), shape[axis], product(shape, axis + 1, axes), 1, true}
                    : cuda::Image{1, 1, product(shape, 0, axes), 1, true};
  const Output y(out, type, shape, last ? from.steps() : std::vector<int64_t>{}, from, stream);
  if (last && y.tensor().steps() != from.steps()) y.tensor().refuse("lies otherwise than x; it needs the same strides");
  if (!last) y.tensor().dense(type);
  if (axes > 4) from.dense(type);
  const cuda::View view = last || axes > 4 ? flat_of(from) : from.view();
  without_lock([&] {
    const Lying lying(view, true, stream);
    what.x.array = lying.array();
    cuda::epilogue(what, stream, y.tensor().data(), nullptr);
  });
  return y.object();
}

// Runs work(counter) and returns whether it counted nothing.
template <typename Work>
bool all_numbers(cuda::Stream stream, const Work& work) {
  int32_t found = 0;
  without_lock([&] {
    const Workspace counter(sizeof found, stream);
    work(static_cast<int32_t*>(counter.get()));
    copy_to_host(counter.get(), sizeof found, &found, stream);
  });
  return found == 0;
}

py::object bind_to_microvolt(const py::object& signal, float scale, const py::object& out, uint64_t stream_number) {
  const cuda::Stream stream = stream_of(stream_number);
  const Tensor from("signal", signal, stream);
  const CurrentDevice current(from.device());
  const bool flat = from.shape().size() > 4;
  if (flat) from.dense(from.type());
  const cuda::View view = flat ? flat_of(from) : from.view();
  const Output y(out, kInt16, from.shape(), {}, from, stream);
  auto* to = static_cast<int16_t*>(y.tensor().dense(kInt16));
  const bool numbers = from.size() == 0 || all_numbers(stream, [&](int32_t* counter) {
                         const Lying lying(view, true, stream);
                         cuda::to_microvolt(lying.array(), 1, 1, from.size(), false, scale, stream, to, counter);
                       });
  return numbers ? y.object() : py::none();
}

py::object bind_to_uint8(const py::object& image, float scale, float offset, const py::object& out,
                         uint64_t stream_number) {
  const cuda::Stream stream = stream_of(stream_number);
  const Tensor from("image", image, stream);
  need_images(from);
  const CurrentDevice current(from.device());
  const cuda::View view = from.view();
  const Shape4& s = view.shape;
  const Output y(out, kUInt8, {s.n, s.h, s.w, s.c}, {}, from, stream);
  auto* to = static_cast<uint8_t*>(y.tensor().dense(kUInt8));
  const bool first = has_channels_first(view, py::none(), view);
  const bool numbers = from.size() == 0 || all_numbers(stream, [&](int32_t* counter) {
                         const Lying lying(view, first, stream);
                         cuda::to_uint8(lying.array(), image_of(s, first), scale, offset, stream, to, counter);
                       });
  return numbers ? y.object() : py::none();
}

}  // namespace

void bind_ops(py::module_& module) {
  const auto none = py::none();
  module.def("upfirdn2d", &bind_upfirdn2d, py::arg("x"), py::arg("steps"), py::arg("flip_filter"),
             py::arg("out") = none, py::arg("stream") = 0,
             "x [N, C, H, W]; steps (taps, host float32 [h, w], up and down as x, y, padding as left, right, top, "
             "bottom, gain).");
  module.def("upsample_bilinear2d", &bind_upsample_bilinear2d, py::arg("x"), py::arg("out") = none,
             py::arg("stream") = 0, "x [N, C, H, W] twice as large, corners not aligned, edges clamped.");
  module.def("bias_act", &bind_bias_act, py::arg("x"), py::arg("bias"), py::arg("dim"), py::arg("act"),
             py::arg("alpha"), py::arg("gain"), py::arg("clamp"), py::arg("out") = none, py::arg("stream") = 0,
             "x of any shape, bias [x.shape[dim]] or None; clamp below 0 for none.");
  module.def("to_microvolt", &bind_to_microvolt, py::arg("signal"), py::arg("scale"), py::arg("out") = none,
             py::arg("stream") = 0, "int16 of signal's shape; None if a value is not a number. Waits for the stream.");
  module.def("to_uint8", &bind_to_uint8, py::arg("image"), py::arg("scale"), py::arg("offset"), py::arg("out") = none,
             py::arg("stream") = 0,
             "uint8 [N, H, W, C] of image [N, C, H, W]; None if a value is not a number. Waits for the stream.");
}

}  // namespace python_cuda
}  // namespace dsb

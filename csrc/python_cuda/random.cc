// Random numbers, with the bits of dsb_fast.random.
#include "cuda/kernels.h"
#include "python_cuda/tensors.h"

namespace py = pybind11;

namespace dsb {
namespace python_cuda {
namespace {

// An array [count, *shape], `out` or a new one, that draw(random, stream, to) fills.
template <typename Draw>
py::object drawn(uint64_t seed, uint64_t start, uint64_t count, const std::vector<int64_t>& shape, uint32_t numbers,
                 int device, const py::object& out, uint64_t stream_number, const Draw& draw) {
  const cuda::Stream stream = stream_of(stream_number);
  std::vector<int64_t> whole = {static_cast<int64_t>(count)};
  cuda::Random random;
  random.seed = seed, random.start = start, random.count = count, random.stream = numbers, random.elements = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(random.elements, static_cast<uint64_t>(size), &random.elements))
      throw py::value_error("shape has negative sizes or too many values");
    whole.push_back(size);
  }
  std::unique_ptr<Tensor> given = out.is_none() ? nullptr : std::make_unique<Tensor>("out", out, stream);
  const CurrentDevice current(given ? given->device() : device);
  const py::object result = given ? out : py::cast(Array(kFloat32, whole, {}, device, stream));
  if (!given) given = std::make_unique<Tensor>("out", result, stream);
  if (given->read_only()) given->refuse("can't be written");
  if (given->shape() != whole) given->refuse("has another shape than [count, *shape]");
  auto* to = static_cast<float*>(given->dense(kFloat32));
  without_lock([&] { draw(random, stream, to); });
  return result;
}

}  // namespace

void bind_random(py::module_& module) {
  module.def(
      "philox_uniform",
      [](uint64_t seed, uint64_t start, uint64_t count, const std::vector<int64_t>& shape, uint32_t numbers, float low,
         float span, int device, const py::object& out, uint64_t stream) {
        return drawn(seed, start, count, shape, numbers, device, out, stream,
                     [&](const cuda::Random& random, cuda::Stream on, float* to) {
                       cuda::philox_uniform(random, low, span, on, to);
                     });
      },
      py::arg("seed"), py::arg("start"), py::arg("count"), py::arg("shape"), py::arg("numbers") = 0,
      py::arg("low") = 0.0f, py::arg("span") = 1.0f, py::arg("device") = 0, py::arg("out") = py::none(),
      py::arg("stream") = 0,
      "float32 [count, *shape], uniform from low to low + span, of the stream `numbers` of dsb_fast.random.");
  module.def(
      "philox_normal",
      [](uint64_t seed, uint64_t start, uint64_t count, const std::vector<int64_t>& shape, uint32_t numbers, int device,
         const py::object& out, uint64_t stream) {
        return drawn(
            seed, start, count, shape, numbers, device, out, stream,
            [](const cuda::Random& random, cuda::Stream on, float* to) { cuda::philox_normal(random, on, to); });
      },
      py::arg("seed"), py::arg("start"), py::arg("count"), py::arg("shape"), py::arg("numbers") = 0,
      py::arg("device") = 0, py::arg("out") = py::none(), py::arg("stream") = 0, "The same, normal.");
}

}  // namespace python_cuda
}  // namespace dsb

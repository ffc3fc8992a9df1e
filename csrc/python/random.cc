#include "ops/random.h"

#include "python/bindings.h"

namespace py = pybind11;

namespace dsb {
namespace python {
namespace {

using FloatArray = py::array_t<float, py::array::c_style>;

RandomShape shape_of(const FloatArray& out, uint64_t start) {
  if (out.ndim() != 2) throw py::value_error("out must be [count, elements]");
  return {start, static_cast<uint64_t>(out.shape(0)), static_cast<uint64_t>(out.shape(1))};
}

}  // namespace

void bind_random(py::module_& module) {
  module.def(
      "random_uniform",
      [](FloatArray& out, uint64_t seed, uint64_t start, uint32_t stream, float low, float span, unsigned threads) {
        const RandomShape shape = shape_of(out, start);
        float* to = out.mutable_data();
        py::gil_scoped_release release;
        random_uniform(seed, stream, shape, low, span, threads, to);
      },
      py::arg("out").noconvert(), py::arg("seed"), py::arg("start"), py::arg("stream"), py::arg("low"), py::arg("span"),
      py::arg("threads"), "Fill out, float32 [count, elements], with low + span * u.");
  module.def(
      "random_normal",
      [](FloatArray& out, uint64_t seed, uint64_t start, uint32_t stream, unsigned threads) {
        const RandomShape shape = shape_of(out, start);
        float* to = out.mutable_data();
        py::gil_scoped_release release;
        random_normal(seed, stream, shape, threads, to);
      },
      py::arg("out").noconvert(), py::arg("seed"), py::arg("start"), py::arg("stream"), py::arg("threads"),
      "Fill out, float32 [count, elements], with standard normal values.");
}

}  // namespace python
}  // namespace dsb

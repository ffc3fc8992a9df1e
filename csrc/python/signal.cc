#include <string>

#include "ops/leads.h"
#include "ops/microvolt.h"
#include "ops/text.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace dsb {
namespace python {
namespace {

using FloatArray = py::array_t<float, py::array::c_style>;
using Int16Array = py::array_t<int16_t, py::array::c_style>;

bool microvolt(const FloatArray& signal, float scale, Int16Array& out) {
  if (signal.size() != out.size()) throw py::value_error("signal and out differ in size");
  const float* from = signal.data();
  int16_t* to = out.mutable_data();
  const size_t count = static_cast<size_t>(signal.size());
  py::gil_scoped_release release;
  return dsb::microvolt(from, count, scale, 1, to);
}

bool derive_12(const Int16Array& samples, Int16Array& out) {
  if (samples.ndim() != 3 || out.ndim() != 3 || samples.shape(1) != 8 || out.shape(1) != 12 ||
      samples.shape(0) != out.shape(0) || samples.shape(2) != out.shape(2))
    throw py::value_error("samples must be [N, 8, time] and out [N, 12, time]");
  const size_t count = static_cast<size_t>(samples.shape(0)), length = static_cast<size_t>(samples.shape(2));
  const int16_t* from = samples.data();
  int16_t* to = out.mutable_data();
  py::gil_scoped_release release;
  bool fits = true;
  for (size_t n = 0; n < count; ++n) fits &= derive_12_leads(from + n * 8 * length, length, to + n * 12 * length);
  return fits;
}

py::bytes rows_as_text(const Int16Array& sample, char separator, const py::bytes& header, const py::bytes& prefixes,
                       size_t prefix_width) {
  if (sample.ndim() != 2) throw py::value_error("sample must be [leads, time]");
  const size_t leads = static_cast<size_t>(sample.shape(0)), length = static_cast<size_t>(sample.shape(1));
  const std::string_view prefix_text = prefixes;
  if (prefix_text.size() != prefix_width * length) throw py::value_error("prefixes must be one a time step");
  std::string out{std::string_view(header)};
  const int16_t* from = sample.data();
  {
    py::gil_scoped_release release;
    format_rows(from, leads, length, separator, prefix_text, prefix_width, out);
  }
  return py::bytes(out);
}

}  // namespace

void bind_signal(py::module_& module) {
  module.def("microvolt", &microvolt, py::arg("signal").noconvert(), py::arg("scale"), py::arg("out").noconvert(),
             "out = trunc(signal * scale) as int16; False if any value is not a number.");
  module.def("derive_12", &derive_12, py::arg("samples").noconvert(), py::arg("out").noconvert(),
             "Twelve leads from eight, int16; False if a value does not fit.");
  module.def("rows_as_text", &rows_as_text, py::arg("sample").noconvert(), py::arg("separator"), py::arg("header"),
             py::arg("prefixes"), py::arg("prefix_width"),
             "header, then one line of integers a time step of sample, int16 [leads, time].");
}

}  // namespace python
}  // namespace dsb

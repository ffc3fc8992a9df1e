#include "ops/measure.h"

#include "python/bindings.h"

namespace py = pybind11;

namespace dsb {
namespace python {
namespace {

using Samples = py::array_t<int16_t, py::array::c_style>;
using Positions = py::array_t<int64_t, py::array::c_style>;

EcgSignal signal_of(const Samples& sample, double rate_hz, int64_t shortest) {
  if (sample.ndim() != 2 || sample.shape(0) < 1 || sample.shape(1) < shortest)
    throw py::value_error("sample must be [leads, time], of at least " + std::to_string(shortest) + " values a lead");
  if (!(rate_hz > 0.0 && rate_hz <= 1e9)) throw py::value_error("rate_hz must be above 0 and at most 1e9");
  return {sample.data(), sample.shape(0), sample.shape(1), rate_hz};
}

// measure(signal) without the interpreter's lock.
template <typename Measure>
auto unlocked(const EcgSignal& signal, const Measure& measure) {
  py::gil_scoped_release release;
  return measure(signal);
}

Positions beats(const Samples& sample, double rate_hz) {
  const std::vector<int64_t> found = unlocked(signal_of(sample, rate_hz, 1), ecg_beats);
  return Positions(static_cast<py::ssize_t>(found.size()), found.data());
}

py::tuple waves(const Samples& sample, double rate_hz, const Positions& positions) {
  const EcgSignal signal = signal_of(sample, rate_hz, 1);
  const std::vector<int64_t> at(positions.data(), positions.data() + positions.size());
  const EcgWaves found = unlocked(signal, [&](const EcgSignal& x) { return ecg_waves(x, at); });
  return py::make_tuple(found.qrs_ms, found.pr_ms, found.qt_ms, found.qrs_range_uv);
}

py::tuple ranges(const Samples& sample) {
  const EcgRanges found = unlocked(signal_of(sample, 1.0, 1), ecg_ranges);
  return py::make_tuple(found.most, found.least);
}

double baseline(const Samples& sample, int64_t width) {
  if (width < 1) throw py::value_error("width must be at least 1");
  return unlocked(signal_of(sample, 1.0, width), [&](const EcgSignal& x) { return ecg_baseline(x, width); });
}

}  // namespace

void bind_measure(py::module_& module) {
  const auto sample = py::arg("sample").noconvert();
  module.def("ecg_beats", &beats, sample, py::arg("rate_hz"), "Positions of the beats of int16 [leads, time].");
  module.def("ecg_waves", &waves, sample, py::arg("rate_hz"), py::arg("positions").noconvert(),
             "QRS, PR and QT in ms and the QRS's range, of the median beat; NaN where not measurable.");
  module.def("ecg_ranges", &ranges, sample, "Largest less smallest value of a lead: where that is most, and least.");
  module.def(
      "ecg_flat", [](const Samples& x) { return unlocked(signal_of(x, 1.0, 1), ecg_flat); }, sample,
      "Equal neighbours in a row, of the longest stretch of any lead.");
  module.def(
      "ecg_clipped", [](const Samples& x) { return unlocked(signal_of(x, 1.0, 1), ecg_clipped); }, sample,
      "Values that are their lead's largest or smallest, three or more in a row.");
  module.def("ecg_baseline", &baseline, sample, py::arg("width"),
             "How far the medians of a lead's blocks of so many values lie apart, where that is most.");
  module.def(
      "ecg_noise", [](const Samples& x) { return unlocked(signal_of(x, 1.0, 3), ecg_noise); }, sample,
      "Median of |x[t-1] - 2 x[t] + x[t+1]|, of the lead where that is largest.");
}

}  // namespace python
}  // namespace dsb

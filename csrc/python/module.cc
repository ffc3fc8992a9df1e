// dsb_fast._native: conversion of arguments and release of the interpreter lock, nothing else.
#include "ops/dispatch.h"
#include "python/bindings.h"

namespace py = pybind11;

PYBIND11_MODULE(_native, module) {
  module.doc() = "Compiled kernels of dsb_fast";
  module.def(
      "variants",
      [] {
        py::list out;
        for (const dsb::Variant& variant : dsb::variants()) out.append(py::make_tuple(variant.name, variant.available));
        return out;
      },
      "All variants built in, best last, each with whether this CPU can run it.");
  module.def(
      "active_variant", [] { return dsb::kernels().name; },
      "The variant that runs; ValueError if DSB_FORCE_VARIANT names none, or one this CPU lacks.");
  dsb::python::bind_random(module);
  dsb::python::bind_signal(module);
  dsb::python::bind_measure(module);
  dsb::python::bind_ops(module);
  dsb::python::bind_layers(module);
  dsb::python::bind_pulse2pulse(module);
}

// One function a binding file; module.cc calls them all.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace dsb {
namespace python {

void bind_random(pybind11::module_& module);
void bind_signal(pybind11::module_& module);
void bind_measure(pybind11::module_& module);
void bind_ops(pybind11::module_& module);
void bind_layers(pybind11::module_& module);
void bind_pulse2pulse(pybind11::module_& module);

}  // namespace python
}  // namespace dsb

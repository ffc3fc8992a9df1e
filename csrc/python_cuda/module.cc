// dsb_fast._cuda, and for tests _cuda_host: conversion of arguments, nothing else. DSB_CUDA_MODULE is its name.
#include "python_cuda/tensors.h"

PYBIND11_MODULE(DSB_CUDA_MODULE, module) {
  module.doc() =
      "The kernels of dsb_fast for arrays on the GPU; `stream` is a CUDA stream's address, 0 the default one";
  module.attr("device_type") = dsb::python_cuda::kDeviceType;
  dsb::python_cuda::bind_array(module);
  dsb::python_cuda::bind_conv(module);
  dsb::python_cuda::bind_ops(module);
  dsb::python_cuda::bind_random(module);
}

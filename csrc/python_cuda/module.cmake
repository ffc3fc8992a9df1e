# dsb_fast._cuda (DSB_CUDA), the GPU's kernels for Python, and _cuda_host (DSB_CUDA_HOST), which tests it without a GPU.
set(DSB_CUDA_MODULE
  csrc/python_cuda/conv.cc
  csrc/python_cuda/module.cc
  csrc/python_cuda/ops.cc
  csrc/python_cuda/random.cc
  csrc/python_cuda/tensors.cc)

function(dsb_cuda_module name kernels)
  pybind11_add_module(${name} MODULE NO_EXTRAS ${DSB_CUDA_MODULE} ${ARGN})
  target_compile_definitions(${name} PRIVATE DSB_CUDA_MODULE=${name})
  target_link_libraries(${name} PRIVATE ${kernels} Threads::Threads)
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${DSB_PYTHON_OUTPUT} LINKER_LANGUAGE CXX)
endfunction()

if(DSB_PYTHON_OUTPUT AND DSB_CUDA_HOST)
  dsb_cuda_module(_cuda_host dsb_cuda_host_kernels csrc/python_cuda/memory_host.cc)
endif()
if(DSB_PYTHON_OUTPUT AND DSB_CUDA)
  find_package(CUDAToolkit REQUIRED)
  dsb_cuda_module(_cuda dsb_cuda_kernels csrc/python_cuda/memory_cuda.cc)
  target_link_libraries(_cuda PRIVATE CUDA::cudart_static)
endif()

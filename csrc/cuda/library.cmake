# The GPU's kernels: libdsb_fast_ort_cuda.so by nvcc (DSB_CUDA), and the same sources as loops on the host (DSB_CUDA_HOST),
# whose operators run on ONNX Runtime's CPU provider: the tests check index arithmetic and graphs with them.
set(DSB_CUDA_KERNELS
  csrc/cuda/conv.cu
  csrc/cuda/conv_prepare.cu
  csrc/cuda/conversions.cu
  csrc/cuda/epilogue.cu
  csrc/cuda/philox.cu
  csrc/cuda/upfirdn2d.cu
  csrc/cuda/upfirdn2d_tiles.cu
  csrc/cuda/upsample.cu)
set(DSB_CUDA_OPERATORS
  csrc/cuda/ort/conversions.cc
  csrc/cuda/ort/layers.cc
  csrc/cuda/ort/library.cc
  csrc/cuda/ort/philox.cc
  csrc/cuda/ort/tensors.cc
  csrc/cuda/ort/upfirdn2d.cc
  csrc/ort/attributes.cc
  csrc/ort/tensors.cc)
# All that they need of the CPU's side: no kernel of it.
set(DSB_CUDA_SHARED
  csrc/cuda/conv_geometry.cc
  csrc/cuda/conv_layer.cc
  csrc/cuda/filter_plan.cc
  csrc/ops/activation.cc
  csrc/ops/upfirdn2d_shape.cc)

# A library of kernels, and the operators on top where ONNX Runtime's headers are.
function(dsb_cuda_libraries suffix kernels)
  target_include_directories(${kernels} PUBLIC csrc)
  if(NOT DSB_ORT_HEADERS)
    return()
  endif()
  set(library dsb_fast_ort_${suffix})
  add_library(${library} MODULE ${DSB_CUDA_OPERATORS})
  target_include_directories(${library} SYSTEM PRIVATE ${DSB_ORT_HEADERS})
  target_link_libraries(${library} PRIVATE ${kernels})
  target_link_options(${library} PRIVATE -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/csrc/ort/exports.map)
  if(DSB_PYTHON_OUTPUT)
    set_target_properties(${library} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${DSB_PYTHON_OUTPUT})
  endif()
endfunction()

if(DSB_CUDA_HOST)
  # Copies under another name: one source file has one language in a build.
  set(copies "")
  foreach(source IN LISTS DSB_CUDA_KERNELS)
    get_filename_component(name ${source} NAME_WE)
    set(copy ${CMAKE_CURRENT_BINARY_DIR}/cuda_host/${name}.cc)
    file(GENERATE OUTPUT ${copy} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\"\n")
    list(APPEND copies ${copy})
  endforeach()
  add_library(dsb_cuda_host_kernels STATIC ${DSB_CUDA_SHARED} ${copies})
  dsb_cuda_libraries(cuda_host dsb_cuda_host_kernels)
  if(TARGET dsb_fast_ort_cuda_host)
    target_compile_definitions(dsb_fast_ort_cuda_host PRIVATE DSB_CUDA_HOST)
  endif()
endif()

if(DSB_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "DSB_CUDA needs nvcc, which is not here; the variable CUDACXX of the environment can name it")
  endif()
  enable_language(CUDA)
  add_library(dsb_cuda_kernels STATIC ${DSB_CUDA_SHARED} ${DSB_CUDA_KERNELS})
  set_target_properties(dsb_cuda_kernels PROPERTIES CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
    CUDA_ARCHITECTURES "${DSB_CUDA_ARCHITECTURES}" CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Static)
  dsb_cuda_libraries(cuda dsb_cuda_kernels)
endif()

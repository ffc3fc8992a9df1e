# The one list of kernel variants, best last: name, CPU features, compile flags.
# From it come the translation units, the dispatch table, the names in DSB_FORCE_VARIANT and in `dsb-fast devices`.
# A feature is a name that __builtin_cpu_supports knows; all of a variant's must be there.
set(DSB_VARIANTS scalar)
set(DSB_FEATURES_scalar "")
set(DSB_FLAGS_scalar "")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  list(APPEND DSB_VARIANTS avx2 avx512 avx512_bf16)
  set(DSB_FEATURES_avx2 avx2 fma)
  set(DSB_FLAGS_scalar -march=x86-64)  # whatever CXXFLAGS say, a variant has its own instructions and no others
  set(DSB_FLAGS_avx2 ${DSB_FLAGS_scalar} -mavx2 -mfma)
  set(DSB_FEATURES_avx512 ${DSB_FEATURES_avx2} avx512f avx512bw avx512dq avx512vl)
  set(DSB_FLAGS_avx512 ${DSB_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
  set(DSB_FEATURES_avx512_bf16 ${DSB_FEATURES_avx512} avx512bf16)
  set(DSB_FLAGS_avx512_bf16 ${DSB_FLAGS_avx512} -mavx512bf16)
endif()

# Kernel sources: each is compiled once a variant, in that variant's namespace.
set(DSB_KERNEL_SOURCES
  csrc/kernels/bfloat16.cc
  csrc/kernels/bias_act.cc
  csrc/kernels/channel_norm.cc
  csrc/kernels/column_softmax.cc
  csrc/kernels/conv1d_bf16.cc
  csrc/kernels/conv2d.cc
  csrc/kernels/conv2d_bf16.cc
  csrc/kernels/direct2d.cc
  csrc/kernels/filter_planes.cc
  csrc/kernels/grey_levels.cc
  csrc/kernels/instance_norm.cc
  csrc/kernels/matmul.cc
  csrc/kernels/measure.cc
  csrc/kernels/microvolt.cc
  csrc/kernels/neighbours2d.cc
  csrc/kernels/panel_pairs.cc
  csrc/kernels/panel_product.cc
  csrc/kernels/philox.cc
  csrc/kernels/phases.cc
  csrc/kernels/product.cc
  csrc/kernels/softmax.cc
  csrc/kernels/table.cc
  csrc/kernels/toom.cc
  csrc/kernels/upfirdn2d.cc
  csrc/kernels/winograd.cc
  csrc/kernels/winograd_product.cc)

set(DSB_VARIANT_OBJECTS "")
set(DSB_VARIANT_ROWS "")
foreach(variant IN LISTS DSB_VARIANTS)
  set(target dsb_kernels_${variant})
  add_library(${target} OBJECT ${DSB_KERNEL_SOURCES})
  target_include_directories(${target} PRIVATE csrc)
  target_compile_definitions(${target} PRIVATE
    DSB_VARIANT=${variant} DSB_VARIANT_NAME="${variant}" DSB_SIMD_HEADER="simd/${variant}.h")
  # Nothing reads the floating-point exception flags; without them to keep, a loop that selects between values can be
  # vectorised. No value changes.
  target_compile_options(${target} PRIVATE ${DSB_FLAGS_${variant}} -fno-trapping-math)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 warns of the deliberately undefined vectors in its own AVX-512 headers (GCC bug 105593).
    target_compile_options(${target} PRIVATE -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
  list(APPEND DSB_VARIANT_OBJECTS $<TARGET_OBJECTS:${target}>)
  set(test "true")
  foreach(feature IN LISTS DSB_FEATURES_${variant})
    string(APPEND test " && __builtin_cpu_supports(\"${feature}\")")
  endforeach()
  string(APPEND DSB_VARIANT_ROWS "DSB_VARIANT_ROW(${variant}, (${test}))\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/variants.inc
  CONTENT "// Made by csrc/variants.cmake, best variant last.\n${DSB_VARIANT_ROWS}" @ONLY)

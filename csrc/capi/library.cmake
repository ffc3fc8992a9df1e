# libdsb_fast.so, the C interface: operators, kernels and all in one library that links to nothing but the C++ runtime.
# ONNX Runtime is loaded when a model is opened.
set(DSB_ABI_VERSION 1)
set(DSB_CAPI_SOURCES
  csrc/capi/cancellation.cc
  csrc/capi/dsb_fast.cc
  csrc/capi/ecg.cc
  csrc/capi/image.cc
  csrc/capi/image_card.cc
  csrc/capi/json.cc
  csrc/capi/model.cc
  csrc/capi/model_file.cc
  csrc/capi/runtime.cc
  csrc/capi/session.cc
  csrc/capi/sha256.cc
  csrc/capi/work.cc)

add_library(dsb_capi_objects OBJECT ${DSB_CAPI_SOURCES})
target_include_directories(dsb_capi_objects PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/csrc/include)
target_include_directories(dsb_capi_objects SYSTEM PRIVATE ${DSB_ORT_HEADERS})
target_compile_definitions(dsb_capi_objects PRIVATE DSB_VERSION="${PROJECT_VERSION}")
target_link_libraries(dsb_capi_objects PUBLIC dsb_core)

set(DSB_EXPORTS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/capi/exports.map)
add_library(dsb_fast SHARED $<TARGET_OBJECTS:dsb_capi_objects> $<TARGET_OBJECTS:dsb_ort_operators>)
add_library(dsb_fast::dsb_fast ALIAS dsb_fast)  # as find_package calls it, for add_subdirectory
target_link_libraries(dsb_fast PRIVATE dsb_core ${CMAKE_DL_LIBS})
target_include_directories(dsb_fast INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/csrc/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# Never unmapped: threads may have been in it, and ONNX Runtime keeps its operators.
target_link_options(dsb_fast PRIVATE -Wl,--version-script=${DSB_EXPORTS} -Wl,-z,nodelete -Wl,-z,defs)
set_target_properties(dsb_fast PROPERTIES LINKER_LANGUAGE CXX SOVERSION ${DSB_ABI_VERSION} LINK_DEPENDS ${DSB_EXPORTS})
if(DSB_SANITIZE)
  set_target_properties(dsb_fast PROPERTIES LINK_OPTIONS "-Wl,--version-script=${DSB_EXPORTS};-Wl,-z,nodelete")
endif()

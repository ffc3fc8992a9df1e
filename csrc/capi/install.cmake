# What `cmake --install` puts down for programs that are not Python: headers, library, CMake package, pkg-config file.
include(CMakePackageConfigHelpers)

add_executable(dsb_fast_bench csrc/capi/bench.cc)
target_link_libraries(dsb_fast_bench PRIVATE dsb_fast Threads::Threads)
file(RELATIVE_PATH DSB_LIBRARY_FROM_BINARY /p/${CMAKE_INSTALL_BINDIR} /p/${CMAKE_INSTALL_LIBDIR})
set_target_properties(dsb_fast_bench PROPERTIES
  OUTPUT_NAME dsb-fast-bench INSTALL_RPATH "\$ORIGIN/${DSB_LIBRARY_FROM_BINARY}")

set(DSB_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/dsb_fast)
install(TARGETS dsb_fast_bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS dsb_fast EXPORT dsb_fastTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES csrc/include/dsb_fast/dsb_fast.h csrc/include/dsb_fast/dsb_fast.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dsb_fast)

if(DSB_STATIC AND NOT CMAKE_OBJCOPY)
  message(STATUS "objcopy is not here: libdsb_fast.a is left out; package binutils has it")
elseif(DSB_STATIC)
  # One object whose only global names are dsb_...: a program may have ONNX Runtime's C++ interface, another version of
  # the kernels or anything else in it beside this library.
  set(DSB_WHOLE ${CMAKE_CURRENT_BINARY_DIR}/dsb_fast_whole.o)
  add_custom_command(OUTPUT ${DSB_WHOLE}
    COMMAND ${CMAKE_CXX_COMPILER} -r -nostdlib -Wl,--force-group-allocation -o ${DSB_WHOLE}
      $<TARGET_OBJECTS:dsb_capi_objects> $<TARGET_OBJECTS:dsb_ort_operators> $<TARGET_OBJECTS:dsb_core>
      ${DSB_VARIANT_OBJECTS}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden --localize-symbol=RegisterCustomOps ${DSB_WHOLE}
    DEPENDS $<TARGET_OBJECTS:dsb_capi_objects> $<TARGET_OBJECTS:dsb_ort_operators> $<TARGET_OBJECTS:dsb_core>
      ${DSB_VARIANT_OBJECTS}
    COMMAND_EXPAND_LISTS VERBATIM)
  set_source_files_properties(${DSB_WHOLE} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  add_library(dsb_fast_static STATIC ${DSB_WHOLE})
  # Of these files make, unlike ninja, does not know who makes them.
  add_dependencies(dsb_fast_static dsb_capi_objects dsb_ort_operators dsb_core)
  target_include_directories(dsb_fast_static INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(dsb_fast_static PRIVATE Threads::Threads ${CMAKE_DL_LIBS} stdc++ m)
  set_target_properties(dsb_fast_static PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME dsb_fast)
  install(TARGETS dsb_fast_static EXPORT dsb_fastTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

install(EXPORT dsb_fastTargets NAMESPACE dsb_fast:: DESTINATION ${DSB_CONFIG_DIR})
configure_package_config_file(csrc/capi/dsb_fastConfig.cmake.in dsb_fastConfig.cmake INSTALL_DESTINATION ${DSB_CONFIG_DIR})
write_basic_package_version_file(dsb_fastConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/dsb_fastConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/dsb_fastConfigVersion.cmake
  DESTINATION ${DSB_CONFIG_DIR})

set(DSB_DESCRIPTION "Synthetic medical data from trained generators, fast")
file(RELATIVE_PATH DSB_PREFIX_FROM_PC /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
configure_file(csrc/capi/dsb_fast.pc.in dsb_fast.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/dsb_fast.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

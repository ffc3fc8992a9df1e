// ONNX Runtime, found and loaded when the first model is opened; nothing links to it.
#pragma once

#include <string>

#include "ort/library.h"

namespace dsb {
namespace capi {

struct Runtime {
  std::string path;     // of the library, as the loader was given it
  std::string version;  // "1.32.0"
  Ort::Env env;
};

// The process's one ONNX Runtime, loaded at the first call and never unloaded: from `asked`, a file or a folder, if
// that is not empty, else from what DSB_ONNXRUNTIME_LIBRARY names, else from where one is found. Throws Failure where
// there is none, it is older than 1.17, or another one is in use already than `asked` names. The C++ interface of its
// headers can be used from then on.
const Runtime& runtime(const std::string& asked);

}  // namespace capi
}  // namespace dsb

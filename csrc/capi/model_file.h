// An exported ONNX file as bytes, looked through before ONNX Runtime gets it.
#pragma once

#include <map>
#include <string>

#include "capi/json.h"

namespace dsb {
namespace capi {

struct ModelFile {
  std::string path;
  std::string bytes;
  std::map<std::string, std::string> properties;
  Json card;
  bool is_fused_ecg = false;  // the graph is one Pulse2Pulse node from noise to signal, and nothing else

  // The metadata property `name`, or "".
  const std::string& property(const std::string& name) const;
};

// Throws Failure unless the file is one that dsb_fast exported, whole: metadata and model card are there, the graph has
// the digest that they name, all its weights are inside, and no node carries graphs or tensors of its own. Sizes are
// not weighed against each other as dsb_fast.load does; that is for files of strangers.
ModelFile read_model_file(const std::string& path);

}  // namespace capi
}  // namespace dsb

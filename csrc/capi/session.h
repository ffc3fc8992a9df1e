// A session of ONNX Runtime: named float32 tensors in, one float32 tensor out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "capi/cancellation.h"
#include "capi/model_file.h"
#include "capi/runtime.h"
#include "dsb_fast/dsb_fast.h"

namespace dsb {
namespace capi {

using Dimensions = std::vector<int64_t>;

struct Device {
  std::string provider;  // "cpu", "cuda"
  int number = 0;

  // Of "cpu", "cuda", "cuda:1". Throws Failure for anything else.
  static Device named(const std::string& text);
  bool is_cpu() const { return provider == "cpu"; }
};

// What the graph takes or makes; the first dimension is the batch, -1.
struct Port {
  std::string name;
  Dimensions shape;
};

struct Feed {
  const char* name;
  const float* data;
  Dimensions shape;
};

// DSB_ERROR_MEMORY where that is what `error` is about, for which ONNX Runtime has no code of its own.
dsb_status status_of(const Ort::Exception& error, dsb_status otherwise);

class Session {
 public:
  // Throws Failure if the provider does not start or refuses the graph.
  Session(const Runtime& runtime, const ModelFile& file, const Device& device);

  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  const Port* input(const std::string& name) const;

  // Runs the graph; its one output goes to `out`, which is `shape`. From several threads at once. Throws Failure, also
  // where `call` is cancelled meanwhile.
  void run(const std::vector<Feed>& feeds, const Call& call, const Dimensions& shape, float* out) const;

 private:
  mutable Ort::Session session_{nullptr};  // runs in parallel, though its class does not say so
  std::string path_;
  std::vector<Port> inputs_, outputs_;
};

}  // namespace capi
}  // namespace dsb

// A model behind the C interface: what a request means to it, and one batch of samples.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "capi/cancellation.h"
#include "capi/failure.h"
#include "capi/model_file.h"
#include "capi/session.h"

namespace dsb {
namespace capi {

struct OpenOptions {
  Device device;
  std::string onnxruntime_library;
  int threads = 1;
};

// A request, checked against a model.
struct Plan {
  dsb_request request;
  dsb_layout layout;
  float truncation = 1.0f;
};

// Facts of a model that no kind adds to.
struct Facts {
  std::string title, grade, backend, variant, onnxruntime_version, onnxruntime_library, unit;
  double sampling_rate_hz = 0.0, truncation = 0.0;
  int64_t labels = 0;
  int32_t kind = 0, leads = 0, noise = DSB_NOISE_DEFAULT;
};

class Model {
 public:
  virtual ~Model() = default;

  // Throws Failure for what this model can't do. The range is not looked at.
  virtual Plan plan(const dsb_request& request) const = 0;
  // Samples `start` to `start + count - 1` to `out`, [count] of plan.layout, on the calling thread; from several
  // threads at once. Throws Failure.
  virtual void make(const Plan& plan, uint64_t start, uint64_t count, const Call& call, void* out) const = 0;
  // Names of `leads` leads. Throws Failure if there are none.
  virtual const std::vector<std::string>& lead_names(int32_t leads) const = 0;

  const ModelFile& file() const { return file_; }
  const Facts& facts() const { return facts_; }
  int threads() const { return threads_; }

 protected:
  Model(ModelFile file, const OpenOptions& options, const Runtime& runtime);
  [[noreturn]] void refuse_card(const std::string& why) const;

  ModelFile file_;  // its bytes are let go when the session is open
  Facts facts_;
  int threads_;
};

std::unique_ptr<Model> open_model(const std::string& path, const OpenOptions& options);

std::unique_ptr<Model> open_ecg(ModelFile file, const OpenOptions& options, const Runtime& runtime);
std::unique_ptr<Model> open_image(ModelFile file, const OpenOptions& options, const Runtime& runtime);

// One sample of `type` and `shape`.
dsb_layout layout_of(int32_t type, const std::vector<int64_t>& shape, uint64_t batch_size);

}  // namespace capi
}  // namespace dsb

// libdsb_fast_ort_cuda.so: what ONNX Runtime's register_custom_ops_library loads for sessions of its CUDA provider. A
// session has this library or libdsb_fast_ort.so, not both: some operators have the same names.
#include "cuda/ort/library.h"

#include "ort/operator.h"

namespace dsb {
namespace cuda {
namespace {

void add_operators(OrtSessionOptions* options) {
  static const Ort::CustomOpDomain domain = [] {
    Ort::CustomOpDomain made("dsb_fast");
    for (const auto add : {add_conversions, add_layers, add_philox, add_upfirdn2d}) add(made);
    return made;
  }();
  Ort::UnownedSessionOptions(options).Add(domain);
}

}  // namespace
}  // namespace cuda
}  // namespace dsb

extern "C" __attribute__((visibility("default"))) OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                                            const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(dsb::ort::kApiVersion);
  if (!api) return nullptr;  // older than 1.17: the session will say that it does not know the domain
  Ort::InitApi(api);
  return dsb::ort::guarded([&] { dsb::cuda::add_operators(options); });
}

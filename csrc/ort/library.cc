// libdsb_fast_ort.so: what ONNX Runtime's register_custom_ops_library loads, from Python or C++.
#include "ort/library.h"

extern "C" __attribute__((visibility("default"))) OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                                            const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(dsb::ort::kApiVersion);
  if (!api) return nullptr;  // older than 1.17: the session will say that it does not know the domain
  Ort::InitApi(api);
  try {
    static const Ort::CustomOpDomain domain = [] {
      Ort::CustomOpDomain made("dsb_fast");
      made.Add(dsb::ort::pulse2pulse_op());
      return made;
    }();
    Ort::UnownedSessionOptions(options).Add(domain);
    return nullptr;
  } catch (const std::exception& error) {
    return api->CreateStatus(ORT_FAIL, error.what());
  }
}

#include "capi/session.h"

#include <functional>
#include <iterator>
#include <memory>

#include "capi/failure.h"

#if defined(__SANITIZE_THREAD__)
extern "C" {
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

namespace dsb {
namespace capi {
namespace {

// ThreadSanitizer does not see how ONNX Runtime, which is not built for it, hands memory from one run to the next:
// operators of ours would look as if they raced for it.
class UnseenMemory {
 public:
#if defined(__SANITIZE_THREAD__)
  UnseenMemory() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~UnseenMemory() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#else
  UnseenMemory() {}  // not trivial, so that no compiler finds it unused
#endif
  UnseenMemory(const UnseenMemory&) = delete;
  UnseenMemory& operator=(const UnseenMemory&) = delete;
};

// What ONNX Runtime says.
std::string first_line(const std::string& text) { return shortened(text, 200); }

std::string name_of(const Device& device) {
  return device.is_cpu() ? "cpu" : device.provider + ":" + std::to_string(device.number);
}

// In full float32, its algorithms chosen by rule; as the Python package sets it.
void add_cuda(Ort::SessionOptions& options, const Device& device) {
  const OrtApi& api = Ort::GetApi();
  OrtCUDAProviderOptionsV2* made = nullptr;
  Ort::ThrowOnError(api.CreateCUDAProviderOptions(&made));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, void(ORT_API_CALL*)(OrtCUDAProviderOptionsV2*)> owner(
      made, api.ReleaseCUDAProviderOptions);
  const std::string number = std::to_string(device.number);
  const char* keys[] = {"device_id", "use_tf32", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace"};
  const char* values[] = {number.c_str(), "0", "HEURISTIC", "1"};
  Ort::ThrowOnError(api.UpdateCUDAProviderOptions(made, keys, values, std::size(keys)));
  options.AppendExecutionProvider_CUDA_V2(*made);
}

Ort::SessionOptions options_for(const ModelFile& file, const Device& device) {
  Ort::SessionOptions options;
  options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
  if (device.is_cpu()) {  // samples in parallel share the weights and wait for nobody
    options.SetIntraOpNumThreads(1);
    options.SetInterOpNumThreads(1);
    if (file.property("flavour") == "fused") ort::add_operators(options);
  } else {
    add_cuda(options, device);
  }
  return options;
}

std::vector<Port> ports(size_t count, const std::function<std::string(size_t)>& name,
                        const std::function<Ort::TypeInfo(size_t)>& type, const std::string& path) {
  std::vector<Port> out;
  for (size_t k = 0; k < count; ++k) {
    const Ort::TypeInfo info = type(k);
    if (info.GetONNXType() != ONNX_TYPE_TENSOR ||
        info.GetTensorTypeAndShapeInfo().GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
      throw Failure(DSB_ERROR_FILE, path + ": '" + shortened(name(k)) + "' is no float32 tensor");
    out.push_back({name(k), info.GetTensorTypeAndShapeInfo().GetShape()});
  }
  return out;
}

}  // namespace

dsb_status status_of(const Ort::Exception& error, dsb_status otherwise) {
  const std::string text = error.what();
  for (const char* said : {"bad_alloc", "out of memory", "Failed to allocate memory"})
    if (text.find(said) != std::string::npos) return DSB_ERROR_MEMORY;
  return otherwise;
}

Device Device::named(const std::string& text) {
  if (text.empty() || text == "cpu") return {"cpu", 0};
  if (text == "cuda") return {"cuda", 0};
  if (text.compare(0, 5, "cuda:") == 0 && text.size() > 5 && text.size() < 9 &&
      text.find_first_not_of("0123456789", 5) == std::string::npos)
    return {"cuda", std::stoi(text.substr(5))};
  throw Failure(DSB_ERROR_ARGUMENT, "provider: '" + shortened(text) + "' is not known; there are cpu, cuda and cuda:N");
}

Session::Session(const Runtime& runtime, const ModelFile& file, const Device& device) : path_(file.path) {
  try {
    const Ort::SessionOptions options = options_for(file, device);
    session_ = Ort::Session(runtime.env, file.bytes.data(), file.bytes.size(), options);
  } catch (const Ort::Exception& error) {
    throw Failure(
        status_of(error, DSB_ERROR_DEVICE),
        path_ + ": device " + name_of(device) + ": ONNX Runtime refused the graph: " + first_line(error.what()));
  }
  Ort::AllocatorWithDefaultOptions allocator;
  inputs_ = ports(
      session_.GetInputCount(),
      [&](size_t k) { return std::string(session_.GetInputNameAllocated(k, allocator).get()); },
      [&](size_t k) { return session_.GetInputTypeInfo(k); }, path_);
  outputs_ = ports(
      session_.GetOutputCount(),
      [&](size_t k) { return std::string(session_.GetOutputNameAllocated(k, allocator).get()); },
      [&](size_t k) { return session_.GetOutputTypeInfo(k); }, path_);
  if (outputs_.size() != 1) throw Failure(DSB_ERROR_FILE, path_ + ": its graph has more or fewer outputs than one");
}

const Port* Session::input(const std::string& name) const {
  for (const Port& port : inputs_)
    if (port.name == name) return &port;
  return nullptr;
}

void Session::run(const std::vector<Feed>& feeds, const Call& call, const Dimensions& shape, float* out) const {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeCPU);
  const auto tensor = [&memory](const float* data, const Dimensions& of) {
    size_t elements = 1;
    for (const int64_t size : of) elements *= static_cast<size_t>(size);
    return Ort::Value::CreateTensor<float>(memory, const_cast<float*>(data), elements, of.data(), of.size());
  };
  try {
    std::vector<const char*> names;
    std::vector<Ort::Value> values;
    for (const Feed& feed : feeds) {
      names.push_back(feed.name);
      values.push_back(tensor(feed.data, feed.shape));
    }
    const char* output = outputs_.front().name.c_str();
    Ort::Value result = tensor(out, shape);
    const UnseenMemory unseen;
    session_.Run(call.options(), names.data(), values.data(), values.size(), &output, &result, 1);
  } catch (const Ort::Exception& error) {
    call.check();
    throw Failure(status_of(error, DSB_ERROR_GENERATION),
                  path_ + ": ONNX Runtime could not run the graph: " + first_line(error.what()));
  }
}

}  // namespace capi
}  // namespace dsb

#include "capi/model.h"

#include <cstring>
#include <utility>

#include "ops/dispatch.h"

namespace dsb {
namespace capi {

Model::Model(ModelFile file, const OpenOptions& options, const Runtime& runtime)
    : file_(std::move(file)), threads_(options.threads) {
  const Json* title = file_.card.find("title");
  facts_.title = title ? title->text : "";
  const bool fused = file_.property("flavour") == "fused";
  facts_.grade = !options.device.is_cpu() ? "near" : fused ? "exact" : "repeatable";
  facts_.backend = "onnxruntime-" + options.device.provider;
  facts_.variant = kernels().name;
  facts_.onnxruntime_version = runtime.version;
  facts_.onnxruntime_library = runtime.path;
}

void Model::refuse_card(const std::string& why) const {
  throw Failure(DSB_ERROR_FILE, file_.path + ": model card: " + why);
}

std::unique_ptr<Model> open_model(const std::string& path, const OpenOptions& options) {
  ModelFile file = read_model_file(path);
  if (!options.device.is_cpu() && file.property("flavour") == "fused")
    throw Failure(DSB_ERROR_DEVICE, path + ": provider " + options.device.provider +
                                        " can't run a fused graph; export the portable flavour");
  const Runtime& found = runtime(options.onnxruntime_library);
  const Json* scale = file.card.find("scale");  // of signals; images have none
  return scale ? open_ecg(std::move(file), options, found) : open_image(std::move(file), options, found);
}

dsb_layout layout_of(int32_t type, const std::vector<int64_t>& shape, uint64_t batch_size) {
  dsb_layout out = DSB_LAYOUT_INIT;
  out.type = type;
  out.rank = static_cast<int32_t>(shape.size());
  out.elements = 1;
  for (size_t k = 0; k < shape.size(); ++k) {
    out.shape[k] = shape[k];
    out.elements *= static_cast<size_t>(shape[k]);
  }
  out.bytes = out.elements * (type == DSB_TYPE_FLOAT32 ? 4 : type == DSB_TYPE_INT16 ? 2 : 1);
  out.batch_size = batch_size;
  return out;
}

}  // namespace capi
}  // namespace dsb

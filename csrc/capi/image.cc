// Images: latents and noise in, grey levels out (docs/identity.md, docs/images.md).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "capi/buffers.h"
#include "capi/model.h"
#include "ops/conversions.h"
#include "ops/random.h"

namespace dsb {
namespace capi {
namespace {

constexpr uint32_t kLatentStream = 0, kNoiseStream = 1;
constexpr int64_t kMaxSize = 1 << 16;
constexpr double kMaxTruncation = 1e6;
// What the speed is best with: pixels a call, as in the Python package (dsb_fast/_models/stylegan2.py).
constexpr int64_t kPixelsPortable = 128 * 128, kPixelsFused = 8 * 128 * 128, kPixelsCuda = 64 * 128 * 128;
constexpr int64_t kBatchPortable = 8, kBatchFused = 16, kBatchCuda = 64;

struct Set {
  Buffer<float> latents, noise, image;
};

bool all_finite(const float* values, size_t count) {
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t found = 0;
  for (size_t k = 0; k < count; ++k) {
    uint32_t bits;
    std::memcpy(&bits, values + k, sizeof bits);
    found |= (bits & kExponent) == kExponent;
  }
  return found == 0;
}

// A network of stylegan2-pytorch: z, one noise map a sample, truncation_psi.
class ImageModel : public Model {
 public:
  ImageModel(ModelFile file, const OpenOptions& options, const Runtime& runtime)
      : Model(std::move(file), options, runtime), session_(runtime, file_, options.device) {
    read_card();
    check_ports();
    const bool fused = file_.property("flavour") == "fused", cpu = options.device.is_cpu();
    const int64_t pixels = !cpu ? kPixelsCuda : fused ? kPixelsFused : kPixelsPortable;
    const int64_t most = !cpu ? kBatchCuda : fused ? kBatchFused : kBatchPortable;
    batch_size_ = static_cast<uint64_t>(std::max<int64_t>(1, std::min(most, pixels / (size_ * size_))));
    std::string().swap(file_.bytes);
  }

  Plan plan(const dsb_request& request) const override {
    if (request.leads) throw Failure(DSB_ERROR_UNSUPPORTED, "leads: " + name() + " makes images, which have none");
    if (request.has_label)
      throw Failure(DSB_ERROR_UNSUPPORTED,
                    "label: the graph of " + name() + " has no such input, it is not conditional");
    if (request.noise != DSB_NOISE_DEFAULT && request.noise != DSB_NOISE_RANDOM)
      throw Failure(DSB_ERROR_UNSUPPORTED, "noise: " + name() + " has no stored maps and needs random ones");
    const bool raw = request.format == DSB_FORMAT_FLOAT32;
    if (!raw && request.format != DSB_FORMAT_NATIVE && request.format != DSB_FORMAT_UINT8_HWC)
      throw Failure(DSB_ERROR_UNSUPPORTED, name() + " makes uint8 grey levels or float32, no microvolts");
    const double truncation = request.has_truncation ? request.truncation : facts_.truncation;
    if (!(std::fabs(truncation) < kMaxTruncation))
      throw Failure(DSB_ERROR_ARGUMENT, "truncation: it must be a number of ordinary size");
    Plan out;
    out.request = request;
    out.truncation = static_cast<float>(truncation);
    out.layout = raw ? layout_of(DSB_TYPE_FLOAT32, {channels_, size_, size_}, batch_size_)
                     : layout_of(DSB_TYPE_UINT8, {size_, size_, channels_}, batch_size_);
    return out;
  }

  void make(const Plan& plan, uint64_t start, uint64_t count, const Call& call, void* out) const override {
    const Pool<Set>::Taken set(pool_);
    const bool raw = plan.layout.type == DSB_TYPE_FLOAT32;
    float* image = raw ? static_cast<float*>(out) : set->image.of(count * plan.layout.elements);
    run(plan, start, count, call, *set, image);
    if (raw) return;
    const Shape4 shape = {static_cast<int64_t>(count), channels_, size_, size_};
    if (!all_finite(image, count * plan.layout.elements) ||
        !grey_levels(image, shape, 255.0f, 0.5f, 1, static_cast<uint8_t*>(out)))
      throw Failure(DSB_ERROR_GENERATION,
                    name() + ": the network's output has values that are not numbers; the weights are unusable");
  }

  const std::vector<std::string>& lead_names(int32_t) const override {
    throw Failure(DSB_ERROR_UNSUPPORTED, "leads: " + name() + " makes images, which have none");
  }

 private:
  const std::string& name() const { return file_.property("model"); }

  void run(const Plan& plan, uint64_t start, uint64_t count, const Call& call, Set& set, float* image) const {
    const uint64_t seed = plan.request.seed, latent = static_cast<uint64_t>(latent_);
    const uint64_t plane = static_cast<uint64_t>(size_ * size_);
    const auto n = static_cast<int64_t>(count);
    float* z = set.latents.of(count * latent);
    random_normal(seed, kLatentStream, {start, count, latent}, 1, z);
    float* noise = set.noise.of(count * plane);
    random_uniform(seed, kNoiseStream, {start, count, plane}, 0.0f, 1.0f, 1, noise);
    session_.run(
        {{"z", z, {n, latent_}}, {"noise", noise, {n, size_, size_}}, {"truncation_psi", &plan.truncation, {}}}, call,
        {n, channels_, size_, size_}, image);
  }

  int64_t whole(const char* key) const {
    const Json* value = file_.card.find(key);
    const double number = value && value->kind == Json::Kind::number ? value->number : 0.0;
    if (!(number >= 1 && number <= kMaxSize) || number != std::floor(number))
      refuse_card(std::string(key) + " must be a whole number above 0");
    return static_cast<int64_t>(number);
  }

  void read_card() {
    const Json* part = file_.card.find("part");
    if (!part || part->text != "whole")
      throw Failure(DSB_ERROR_UNSUPPORTED,
                    file_.path + ": samples need the whole network; its model card says it is " +
                        (part && !part->text.empty() ? "the part " + shortened(part->text, 20) : "something else"));
    size_ = whole("image_size");
    channels_ = whole("channels");
    latent_ = whole("latent_dim");
    const Json* truncation = file_.card.find("truncation");
    if (!truncation || truncation->kind != Json::Kind::number || !std::isfinite(truncation->number))
      refuse_card("truncation must be a number");
    facts_.kind = DSB_KIND_IMAGE;
    facts_.unit = "grey level";
    facts_.truncation = truncation->number;
  }

  void check_ports() const {
    const std::vector<Port> needed = {{"z", {-1, latent_}}, {"noise", {-1, size_, size_}}, {"truncation_psi", {}}};
    bool fits = session_.inputs().size() == needed.size() && session_.outputs()[0].name == "image" &&
                session_.outputs()[0].shape == Dimensions{-1, channels_, size_, size_};
    for (const Port& port : needed) {
      const Port* found = session_.input(port.name);
      fits &= found && found->shape == port.shape;
    }
    if (!fits) refuse_card("it does not fit the inputs and outputs of its graph");
  }

  Session session_;
  int64_t size_ = 0, channels_ = 0, latent_ = 0;
  uint64_t batch_size_ = 1;
  mutable Pool<Set> pool_;
};

}  // namespace

std::unique_ptr<Model> open_image(ModelFile file, const OpenOptions& options, const Runtime& runtime) {
  return std::make_unique<ImageModel>(std::move(file), options, runtime);
}

}  // namespace capi
}  // namespace dsb

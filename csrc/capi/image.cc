// Images: latents and noise in, grey levels out (docs/identity.md, docs/images.md).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "capi/buffers.h"
#include "capi/image_card.h"
#include "capi/model.h"
#include "ops/conversions.h"
#include "ops/random.h"

namespace dsb {
namespace capi {
namespace {

constexpr uint32_t kLatentStream = 0, kNoiseStream = 1, kLabelStream = 4;
constexpr double kMaxTruncation = 1e6;
// What the speed is best with: pixels a call, as in the Python package (dsb_fast/_models).
constexpr int64_t kPixelsPortable = 128 * 128, kPixelsFused = 8 * 128 * 128, kPixelsCuda = 64 * 128 * 128;
constexpr int64_t kBatchPortable = 8, kBatchFused = 16, kBatchCuda = 64;

struct Set {
  Buffer<float> latents, labels, joined, noise, image;
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

class ImageModel : public Model {
 public:
  ImageModel(ModelFile file, const OpenOptions& options, const Runtime& runtime)
      : Model(std::move(file), options, runtime),
        card_(read_image_card(file_)),
        session_(runtime, file_, options.device) {
    check_ports();
    const bool fused = file_.property("flavour") == "fused", cpu = options.device.is_cpu();
    const int64_t pixels = !cpu ? kPixelsCuda : fused ? kPixelsFused : kPixelsPortable;
    const int64_t most = !cpu ? kBatchCuda : fused ? kBatchFused : kBatchPortable;
    batch_size_ = static_cast<uint64_t>(std::max<int64_t>(1, std::min(most, pixels / (card_.size * card_.size))));
    std::string().swap(file_.bytes);
    facts_.kind = DSB_KIND_IMAGE;
    facts_.unit = "grey level";
    facts_.truncation = card_.truncation;
    facts_.labels = card_.labels;
    facts_.noise = card_.noise;
  }

  Plan plan(const dsb_request& request) const override {
    if (request.leads) throw Failure(DSB_ERROR_UNSUPPORTED, "leads: " + name() + " makes images, which have none");
    check_label(request);
    check_noise(request);
    const bool raw = request.format == DSB_FORMAT_FLOAT32;
    if (!raw && request.format != DSB_FORMAT_NATIVE && request.format != DSB_FORMAT_UINT8_HWC)
      throw Failure(DSB_ERROR_UNSUPPORTED, name() + " makes uint8 grey levels or float32, no microvolts");
    const double truncation = request.has_truncation ? request.truncation : card_.truncation;
    if (!(std::fabs(truncation) < kMaxTruncation))
      throw Failure(DSB_ERROR_ARGUMENT, "truncation: it must be a number of ordinary size");
    Plan out;
    out.request = request;
    out.truncation = static_cast<float>(truncation);
    out.layout = raw ? layout_of(DSB_TYPE_FLOAT32, {card_.channels, card_.size, card_.size}, batch_size_)
                     : layout_of(DSB_TYPE_UINT8, {card_.size, card_.size, card_.channels}, batch_size_);
    return out;
  }

  void make(const Plan& plan, uint64_t start, uint64_t count, const Call& call, void* out) const override {
    const Pool<Set>::Taken set(pool_);
    const bool raw = plan.layout.type == DSB_TYPE_FLOAT32;
    float* image = raw ? static_cast<float*>(out) : set->image.of(count * plan.layout.elements);
    const Dimensions shape = {static_cast<int64_t>(count), card_.channels, card_.size, card_.size};
    session_.run(feeds(plan, start, count, *set), call, shape, image);
    if (raw) return;
    const Shape4 size = {shape[0], shape[1], shape[2], shape[3]};
    if (!all_finite(image, count * plan.layout.elements) ||
        !grey_levels(image, size, card_.scale, card_.offset, 1, static_cast<uint8_t*>(out)))
      throw Failure(DSB_ERROR_GENERATION,
                    name() + ": the network's output has values that are not numbers; the weights are unusable");
  }

  const std::vector<std::string>& lead_names(int32_t) const override {
    throw Failure(DSB_ERROR_UNSUPPORTED, "leads: " + name() + " makes images, which have none");
  }

 private:
  const std::string& name() const { return file_.property("model"); }

  void check_label(const dsb_request& request) const {
    if (!request.has_label) return;
    if (!card_.labels)
      throw Failure(DSB_ERROR_UNSUPPORTED,
                    "label: the graph of " + name() + " has no such input, it is not conditional");
    if (request.label < 0 || request.label >= card_.labels)
      throw Failure(DSB_ERROR_ARGUMENT, "label: " + std::to_string(request.label) + "; the classes are 0 to " +
                                            std::to_string(card_.labels - 1));
  }

  void check_noise(const dsb_request& request) const {
    if (request.noise < DSB_NOISE_DEFAULT || request.noise > DSB_NOISE_NONE)
      throw Failure(DSB_ERROR_UNSUPPORTED, "noise: no mode has the number " + std::to_string(request.noise));
    if (request.noise == DSB_NOISE_DEFAULT || request.noise == card_.noise || !card_.has_noise_layers) return;
    throw Failure(DSB_ERROR_UNSUPPORTED,
                  card_.is_lucid ? "noise: " + name() + " has no stored maps and needs random ones"
                                 : "noise: the file was exported with another mode; export the checkpoint again");
  }

  // What the network takes for samples `start` on; the values are in `set` and `plan`.
  std::vector<Feed> feeds(const Plan& plan, uint64_t start, uint64_t count, Set& set) const {
    const uint64_t seed = plan.request.seed, latent = static_cast<uint64_t>(card_.latent);
    const auto n = static_cast<int64_t>(count);
    float* z = set.latents.of(count * latent);
    random_normal(seed, kLatentStream, {start, count, latent}, 1, z);
    std::vector<Feed> out = {{"z", z, {n, card_.latent}}, {"truncation_psi", &plan.truncation, {}}};
    if (card_.labels) out.push_back({"label", labels(plan.request, start, count, set), {n, card_.labels}});
    if (card_.is_lucid) {
      const auto plane = static_cast<uint64_t>(card_.size * card_.size);
      float* noise = set.noise.of(count * plane);
      random_uniform(seed, kNoiseStream, {start, count, plane}, 0.0f, 1.0f, 1, noise);
      out.push_back({"noise", noise, {n, card_.size, card_.size}});
    } else if (card_.noise == DSB_NOISE_RANDOM) {
      add_planes(seed, start, count, set, out);
    }
    return out;
  }

  // One class for all, or one of each sample's own: its uniform number in [0, 1) times the classes, cut down.
  const float* labels(const dsb_request& request, uint64_t start, uint64_t count, Set& set) const {
    const auto classes = static_cast<uint64_t>(card_.labels);
    float* rows = set.labels.of(count * classes);
    std::fill_n(rows, count * classes, 0.0f);
    float* drawn = set.joined.of(count);
    random_uniform(request.seed, kLabelStream, {start, count, 1}, 0.0f, 1.0f, 1, drawn);
    for (uint64_t k = 0; k < count; ++k) {
      const auto own = static_cast<uint64_t>(static_cast<double>(drawn[k]) * static_cast<double>(classes));
      rows[k * classes + (request.has_label ? static_cast<uint64_t>(request.label) : own)] = 1.0f;
    }
    return rows;
  }

  // The layers' planes, drawn one after the other for each sample, each layer's brought together.
  void add_planes(uint64_t seed, uint64_t start, uint64_t count, Set& set, std::vector<Feed>& out) const {
    const uint64_t total = card_.plane_values;
    float* joined = set.joined.of(count * total);
    random_normal(seed, kNoiseStream, {start, count, total}, 1, joined);
    float* to = set.noise.of(count * total);
    uint64_t first = 0;
    for (const NoisePlane& plane : card_.planes) {
      const auto size = static_cast<uint64_t>(plane.side * plane.side);
      for (uint64_t k = 0; k < count; ++k) std::copy_n(joined + k * total + first, size, to + k * size);
      out.push_back({plane.input.c_str(), to, {static_cast<int64_t>(count), 1, plane.side, plane.side}});
      to += count * size;
      first += size;
    }
  }

  void check_ports() const {
    const std::vector<Port> needed = card_.inputs();
    bool fits = session_.inputs().size() == needed.size() && session_.outputs()[0].name == "image" &&
                session_.outputs()[0].shape == Dimensions{-1, card_.channels, card_.size, card_.size};
    for (const Port& port : needed) {
      const Port* found = session_.input(port.name);
      fits &= found && found->shape == port.shape;
    }
    if (!fits) refuse_card("it does not fit the inputs and outputs of its graph");
  }

  ImageCard card_;
  Session session_;
  uint64_t batch_size_ = 1;
  mutable Pool<Set> pool_;
};

}  // namespace

std::unique_ptr<Model> open_image(ModelFile file, const OpenOptions& options, const Runtime& runtime) {
  return std::make_unique<ImageModel>(std::move(file), options, runtime);
}

}  // namespace capi
}  // namespace dsb

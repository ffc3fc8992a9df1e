// ECGs: noise in, microvolts out (docs/identity.md).
#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <utility>

#include "capi/buffers.h"
#include "capi/model.h"
#include "ops/leads.h"
#include "ops/microvolt.h"
#include "ops/random.h"
#include "ort/pulse2pulse.h"

namespace dsb {
namespace capi {
namespace {

const std::vector<std::string> kLeads8 = {"I", "II", "V1", "V2", "V3", "V4", "V5", "V6"};
const std::vector<std::string> kLeads12 = {"I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"};

constexpr uint32_t kNoiseStream = 0;
constexpr double kMaxLength = 2500000;
constexpr uint64_t kPortableBatch = 8, kFusedBatch = 64, kCudaBatch = 64;  // what the speed is best with

struct Set {
  Buffer<float> noise, signal;
  Buffer<int16_t> signal_uv;
};

class EcgModel : public Model {
 public:
  EcgModel(ModelFile file, const OpenOptions& options, const Runtime& runtime)
      : Model(std::move(file), options, runtime) {
    read_card();
    const ort::NetworkCapture capture;
    auto session = std::make_unique<Session>(runtime, file_, options.device);
    check_ports(*session);
    if (file_.is_fused_ecg) network_ = capture.network();
    if (network_) {
      facts_.backend = "native";
    } else {
      session_ = std::move(session);
    }
    batch_size_ = network_ ? kFusedBatch : options.device.is_cpu() ? kPortableBatch : kCudaBatch;
    std::string().swap(file_.bytes);
  }

  Plan plan(const dsb_request& request) const override {
    if (request.has_truncation || request.has_label || request.noise != DSB_NOISE_DEFAULT)
      throw Failure(DSB_ERROR_UNSUPPORTED, name() + " has no truncation, label or noise mode; those are of images");
    const bool raw = request.format == DSB_FORMAT_FLOAT32;
    if (!raw && request.format != DSB_FORMAT_NATIVE && request.format != DSB_FORMAT_INT16_MICROVOLT)
      throw Failure(DSB_ERROR_UNSUPPORTED, name() + " makes int16 microvolts or float32, no pixels");
    const auto count = static_cast<int64_t>(lead_names(request.leads).size());
    if (raw && count != channels())
      throw Failure(DSB_ERROR_UNSUPPORTED, "leads: the network's own output has " + std::to_string(channels()) + "; " +
                                               std::to_string(count) + " are made as microvolts");
    Plan out;
    out.request = request;
    out.layout = layout_of(raw ? DSB_TYPE_FLOAT32 : DSB_TYPE_INT16, {count, length_}, batch_size_);
    return out;
  }

  void make(const Plan& plan, uint64_t start, uint64_t count, const Call& call, void* out) const override {
    const Pool<Set>::Taken set(pool_);
    const uint64_t seed = plan.request.seed;
    if (plan.layout.type == DSB_TYPE_FLOAT32) return signal(seed, start, count, call, *set, static_cast<float*>(out));
    auto* signal_uv = static_cast<int16_t*>(out);
    if (plan.layout.shape[0] == channels()) return microvolts(seed, start, count, call, *set, signal_uv);
    int16_t* eight = set->signal_uv.of(count * sample_size());
    microvolts(seed, start, count, call, *set, eight);
    const auto length = static_cast<size_t>(length_);
    for (uint64_t n = 0; n < count; ++n)
      if (!derive_12_leads(eight + n * 8 * length, length, signal_uv + n * 12 * length))
        throw Failure(DSB_ERROR_GENERATION, name() + ": a derived lead does not fit int16");
  }

  const std::vector<std::string>& lead_names(int32_t leads) const override {
    if (leads == 0 || leads == channels()) return leads_;
    if (leads == 12 && leads_ == kLeads8) return kLeads12;
    throw Failure(DSB_ERROR_UNSUPPORTED, "leads: " + std::to_string(leads) + "; this model makes " +
                                             (leads_ == kLeads8 ? "8 or 12" : std::to_string(channels())));
  }

 private:
  const std::string& name() const { return file_.property("model"); }
  int32_t channels() const { return static_cast<int32_t>(leads_.size()); }
  size_t sample_size() const { return leads_.size() * static_cast<size_t>(length_); }

  double number(const char* key) const {
    const Json* value = file_.card.find(key);
    if (!value || value->kind != Json::Kind::number || !std::isfinite(value->number) || value->number <= 0)
      refuse_card(std::string(key) + " must be a number above 0");
    return value->number;
  }

  void read_card() {
    const Json* leads = file_.card.find("leads");
    if (!leads || leads->kind != Json::Kind::list || leads->list.empty()) refuse_card("leads must be a list of names");
    for (const Json& lead : leads->list) {
      if (lead.kind != Json::Kind::text || lead.text.empty()) refuse_card("leads must be a list of names");
      leads_.push_back(lead.text);
    }
    if (std::set<std::string>(leads_.begin(), leads_.end()).size() != leads_.size() || leads_.size() > 1024)
      refuse_card("leads must be different names");
    const double length = number("length");
    if (length != std::floor(length) || length > kMaxLength || static_cast<int64_t>(length) % 2500)
      refuse_card("length must be a multiple of 2500, at most 2500000");
    length_ = static_cast<int64_t>(length);
    const Json* unit = file_.card.find("unit");
    if (!unit || (unit->text != "uV" && unit->text != "mV")) refuse_card("unit must be uV or mV");
    scale_ = static_cast<float>(number("scale") * (unit->text == "mV" ? 1000 : 1));
    if (!(scale_ <= 32767.0f)) refuse_card("scale is more than the 32767 microvolts that int16 holds");
    facts_.kind = DSB_KIND_ECG;
    facts_.unit = "microvolt";
    facts_.leads = channels();
    facts_.sampling_rate_hz = number("sampling_rate_hz");
  }

  void check_ports(const Session& session) const {
    const Dimensions needed = {-1, channels(), length_};
    if (session.inputs().size() != 1 || session.inputs()[0].name != "noise" || session.inputs()[0].shape != needed ||
        session.outputs()[0].name != "signal" || session.outputs()[0].shape != needed)
      refuse_card("it does not fit the inputs and outputs of its graph");
  }

  // The network's own output.
  void signal(uint64_t seed, uint64_t start, uint64_t count, const Call& call, Set& set, float* out) const {
    float* noise = set.noise.of(count * sample_size());
    random_uniform(seed, kNoiseStream, {start, count, sample_size()}, -1.0f, 2.0f, 1, noise);
    const auto n = static_cast<int64_t>(count);
    if (network_) return network_->run(noise, n, length_, 1, out);
    const Dimensions shape = {n, channels(), length_};
    session_->run({{"noise", noise, shape}}, call, shape, out);
  }

  void microvolts(uint64_t seed, uint64_t start, uint64_t count, const Call& call, Set& set, int16_t* out) const {
    bool numbers = true;
    if (network_) {
      try {
        network_->sample(seed, start, static_cast<int64_t>(count), length_, scale_, 1, out);
      } catch (const std::range_error&) {
        numbers = false;
      }
    } else {
      float* made = set.signal.of(count * sample_size());
      signal(seed, start, count, call, set, made);
      numbers = microvolt(made, count * sample_size(), scale_, 1, out);
    }
    if (!numbers)
      throw Failure(DSB_ERROR_GENERATION,
                    name() + ": the network's output has values that are not numbers; the weights are unusable");
  }

  std::vector<std::string> leads_;
  int64_t length_ = 0;
  float scale_ = 0.0f;
  uint64_t batch_size_ = 1;
  std::unique_ptr<Session> session_;                   // of a portable graph
  std::shared_ptr<const Pulse2PulseNetwork> network_;  // of a fused one, which needs no session to run
  mutable Pool<Set> pool_;
};

}  // namespace

std::unique_ptr<Model> open_ecg(ModelFile file, const OpenOptions& options, const Runtime& runtime) {
  return std::make_unique<EcgModel>(std::move(file), options, runtime);
}

}  // namespace capi
}  // namespace dsb

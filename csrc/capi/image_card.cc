#include "capi/image_card.h"

#include <cmath>

#include "capi/failure.h"

namespace dsb {
namespace capi {
namespace {

constexpr int64_t kMaxSize = 1 << 16;
constexpr size_t kMaxPlanes = 64;

class Reader {
 public:
  explicit Reader(const ModelFile& file) : file_(file) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw Failure(DSB_ERROR_FILE, file_.path + ": model card: " + why);
  }

  std::string text(const char* key) const {
    const Json* value = file_.card.find(key);
    return value ? value->text : "";
  }

  int64_t whole(const char* key, int64_t least) const {
    const Json* value = file_.card.find(key);
    if (!value || !is_whole(*value, least))
      refuse(std::string(key) + " must be a whole number, " + std::to_string(least) + " or more");
    return static_cast<int64_t>(value->number);
  }

  double number(const char* key) const {
    const Json* value = file_.card.find(key);
    if (!value || value->kind != Json::Kind::number || !std::isfinite(value->number))
      refuse(std::string(key) + " must be a number");
    return value->number;
  }

  std::vector<int64_t> sides(const char* key) const {
    const Json* value = file_.card.find(key);
    std::vector<int64_t> out;
    if (!value || value->kind != Json::Kind::list || value->list.size() > kMaxPlanes)
      refuse(std::string(key) + " must be a list of whole numbers");
    for (const Json& side : value->list) {
      if (!is_whole(side, 1)) refuse(std::string(key) + " must be a list of whole numbers");
      out.push_back(static_cast<int64_t>(side.number));
    }
    return out;
  }

 private:
  static bool is_whole(const Json& value, int64_t least) {
    return value.kind == Json::Kind::number && value.number >= static_cast<double>(least) &&
           value.number <= static_cast<double>(kMaxSize) && value.number == std::floor(value.number);
  }

  const ModelFile& file_;
};

int32_t noise_of(const Reader& card) {
  const std::string noise = card.text("noise");
  if (noise == "input") return DSB_NOISE_RANDOM;
  if (noise == "const") return DSB_NOISE_CONST;
  if (noise == "none") return DSB_NOISE_NONE;
  card.refuse("noise must be input, const or none");
}

void read_nv(const ModelFile& file, const Reader& card, ImageCard& out) {
  const std::string family = card.text("family");
  if (family != "nvlabs" && family != "rosinality")
    card.refuse("family is '" + shortened(family, 20) + "'; there are nvlabs and rosinality");
  const Json* cutoff = file.card.find("truncation_cutoff");
  if (cutoff && cutoff->kind != Json::Kind::null)
    throw Failure(DSB_ERROR_UNSUPPORTED,
                  file.path + ": its model card asks for truncation_cutoff, which the Python package alone has");
  out.scale = 127.5f;
  out.offset = 128.0f;
  out.labels = card.whole("labels", 0);
  out.noise = noise_of(card);
  const std::vector<int64_t> sides = card.sides("noise_sizes");
  out.has_noise_layers = !sides.empty();
  if (out.noise != DSB_NOISE_RANDOM) return;
  for (const int64_t side : sides) {
    out.planes.push_back({"noise_" + std::to_string(out.planes.size()), side});
    out.plane_values += static_cast<uint64_t>(side * side);
  }
}

}  // namespace

std::vector<Port> ImageCard::inputs() const {
  std::vector<Port> out = {{"z", {-1, latent}}, {"truncation_psi", {}}};
  if (is_lucid) out.push_back({"noise", {-1, size, size}});
  if (labels) out.push_back({"label", {-1, labels}});
  for (const NoisePlane& plane : planes) out.push_back({plane.input, {-1, 1, plane.side, plane.side}});
  return out;
}

ImageCard read_image_card(const ModelFile& file) {
  const Reader card(file);
  if (const std::string part = card.text("part"); part != "whole")
    throw Failure(DSB_ERROR_UNSUPPORTED, file.path + ": samples need the whole network; its model card says it is " +
                                             (part.empty() ? "something else" : "the part " + shortened(part, 20)));
  ImageCard out;
  out.is_lucid = !file.card.find("family");
  out.size = card.whole("image_size", 1);
  out.channels = card.whole("channels", 1);
  out.latent = card.whole("latent_dim", 1);
  out.truncation = card.number("truncation");
  if (!out.is_lucid) read_nv(file, card, out);
  return out;
}

}  // namespace capi
}  // namespace dsb

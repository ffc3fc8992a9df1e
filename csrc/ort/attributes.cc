#include "ort/attributes.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ops/bias_act.h"

namespace dsb {
namespace ort {
namespace {

// Whether a C function succeeded; its status is freed.
bool good(OrtStatus* status) {
  if (status) Ort::GetApi().ReleaseStatus(status);
  return !status;
}

std::string between(int64_t least, int64_t most) {
  return "from " + std::to_string(least) + " to " + std::to_string(most);
}

}  // namespace

void Attributes::refuse(const char* name, const std::string& what) const {
  throw std::invalid_argument(op_ + ": attribute " + name + " " + what);
}

// Any attribute can be read as a list of integers, an empty one if it is something else.
bool Attributes::exists(const char* name) const {
  size_t size = 0;
  return good(Ort::GetApi().KernelInfoGetAttributeArray_int64(info_, name, nullptr, &size));
}

int64_t Attributes::integer(const char* name, int64_t least, int64_t most, std::optional<int64_t> otherwise) const {
  int64_t value = 0;
  if (!good(Ort::GetApi().KernelInfoGetAttribute_int64(info_, name, &value))) {
    if (exists(name)) refuse(name, "is no integer");
    if (!otherwise) refuse(name, "is missing");
    return *otherwise;
  }
  if (value < least || value > most)
    refuse(name, "is " + std::to_string(value) + ", needs to be " + between(least, most));
  return value;
}

float Attributes::number(const char* name, std::optional<float> otherwise) const {
  float value = 0.0f;
  if (!good(Ort::GetApi().KernelInfoGetAttribute_float(info_, name, &value))) {
    if (exists(name)) refuse(name, "is no floating-point number");
    if (!otherwise) refuse(name, "is missing");
    return *otherwise;
  }
  if (!std::isfinite(value)) refuse(name, "is not finite");
  return value;
}

std::string Attributes::text(const char* name, const char* otherwise) const {
  size_t size = 0;
  if (!good(Ort::GetApi().KernelInfoGetAttribute_string(info_, name, nullptr, &size))) {
    if (exists(name)) refuse(name, "is no text");
    return otherwise;
  }
  std::string value(size, '\0');
  if (!good(Ort::GetApi().KernelInfoGetAttribute_string(info_, name, &value[0], &size))) refuse(name, "is no text");
  value.resize(size - 1);  // without the final zero
  return value;
}

std::vector<int64_t> Attributes::integers(const char* name, size_t count, int64_t least, int64_t most,
                                          std::optional<std::vector<int64_t>> otherwise) const {
  if (otherwise && !exists(name)) return *otherwise;
  size_t size = 0;
  if (!good(Ort::GetApi().KernelInfoGetAttributeArray_int64(info_, name, nullptr, &size))) refuse(name, "is missing");
  if (size == 0 || (count && size != count))
    refuse(name, "needs " + (count ? std::to_string(count) : std::string("a list of")) + " integers");
  std::vector<int64_t> values(size);
  if (!good(Ort::GetApi().KernelInfoGetAttributeArray_int64(info_, name, values.data(), &size)))
    refuse(name, "can't be read");
  for (const int64_t value : values)
    if (value < least || value > most)
      refuse(name, "has " + std::to_string(value) + ", needs to be " + between(least, most));
  return values;
}

ActivationOptions Attributes::activation(std::optional<float> gain) const {
  ActivationOptions options = dsb::activation(op_ + ": attribute act", text("act", "linear"));
  options.alpha = number("alpha", options.alpha);
  options.gain = number("gain", gain ? *gain : options.gain);
  if (exists("clamp")) {
    options.clamp = number("clamp", {});
    if (options.clamp < 0.0f) refuse("clamp", "is negative; left out there is no clamp");
  }
  return options;
}

bool Attributes::bfloat16_products() const {
  const std::string products = text("products", "float32");
  if (products != "float32" && products != "bfloat16")
    refuse("products", "is \"" + products + "\"; it is \"float32\" or \"bfloat16\"");
  return products == "bfloat16";
}

}  // namespace ort
}  // namespace dsb

#include "ops/dispatch.h"

#include <cstdlib>
#include <stdexcept>

namespace dsb {

#define DSB_VARIANT_ROW(name, test) \
  namespace name {                  \
  extern const Kernels kernels;     \
  }
#include "variants.inc"
#undef DSB_VARIANT_ROW

namespace {

struct Row {
  const Kernels* kernels;
  bool available;
};

std::vector<Row> rows() {
  return {
#define DSB_VARIANT_ROW(name, test) {&name::kernels, (test)},
#include "variants.inc"
#undef DSB_VARIANT_ROW
  };
}

const Kernels& choose() {
  const char* forced = std::getenv("DSB_FORCE_VARIANT");
  if (forced && *forced) return kernels(forced);
  const Kernels* best = nullptr;
  for (const Row& row : rows())
    if (row.available) best = row.kernels;
  return *best;
}

}  // namespace

std::vector<Variant> variants() {
  std::vector<Variant> out;
  for (const Row& row : rows()) out.push_back({row.kernels->name, row.available});
  return out;
}

const Kernels& kernels(const std::string& name) {
  std::string known;
  for (const Row& row : rows()) {
    if (name == row.kernels->name) {
      if (row.available) return *row.kernels;
      throw std::invalid_argument("DSB_FORCE_VARIANT: this CPU lacks what " + name + " needs");
    }
    if (row.available) known += (known.empty() ? "" : ", ") + std::string(row.kernels->name);
  }
  throw std::invalid_argument("DSB_FORCE_VARIANT: no variant is called '" + name + "'; this machine has " + known);
}

const Kernels& kernels() {
  static const Kernels& active = choose();
  return active;
}

}  // namespace dsb

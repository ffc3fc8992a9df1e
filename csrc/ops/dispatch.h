// Which variant runs. Chosen once, at the first call: the best this CPU has, or the one DSB_FORCE_VARIANT names.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace dsb {

struct Variant {
  std::string name;
  bool available;  // this CPU has what it needs
};

// All variants built in, best last.
std::vector<Variant> variants();

// The active variant's kernels. Throws std::invalid_argument if DSB_FORCE_VARIANT names none, or one this CPU lacks.
const Kernels& kernels();

// The kernels of a named variant, for tests and benchmarks; throws like kernels().
const Kernels& kernels(const std::string& name);

}  // namespace dsb

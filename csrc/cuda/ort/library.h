// The operators for GPUs of domain dsb_fast: a file a few that are alike.
#pragma once

#include "ort/library.h"

namespace dsb {
namespace cuda {

void add_conversions(Ort::CustomOpDomain& domain);
void add_layers(Ort::CustomOpDomain& domain);
void add_philox(Ort::CustomOpDomain& domain);
void add_upfirdn2d(Ort::CustomOpDomain& domain);

}  // namespace cuda
}  // namespace dsb

// All samples of a request, cut into batches.
#pragma once

#include "capi/cancellation.h"
#include "capi/model.h"

namespace dsb {
namespace capi {

// Into `out`, on as many threads as the model was opened with. Throws Failure.
void generate(const Model& model, const Plan& plan, Cancellation* cancellation, void* out);

// Batch after batch to the callback. Throws Failure, DSB_STOPPED if the callback said so.
void stream(const Model& model, const Plan& plan, Cancellation* cancellation, dsb_batch_callback callback, void* user);

}  // namespace capi
}  // namespace dsb

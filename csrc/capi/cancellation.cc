#include "capi/cancellation.h"

#include "capi/failure.h"

namespace dsb {
namespace capi {

void Cancellation::cancel() {
  const std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
  for (Call* call : calls_) call->options_.SetTerminate();
}

Call::Call(Cancellation* cancellation) : cancellation_(cancellation) {
  options_.SetRunLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
  if (!cancellation_) return;
  const std::lock_guard<std::mutex> lock(cancellation_->mutex_);
  cancellation_->calls_.insert(this);
}

Call::~Call() {
  if (!cancellation_) return;
  const std::lock_guard<std::mutex> lock(cancellation_->mutex_);
  cancellation_->calls_.erase(this);
}

void Call::check() const {
  if (abandoned_ || (cancellation_ && cancellation_->cancelled()))
    throw Failure(DSB_CANCELLED, "the call was cancelled");
}

void Call::abandon() {
  abandoned_ = true;
  options_.SetTerminate();
}

}  // namespace capi
}  // namespace dsb

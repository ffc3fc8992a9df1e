// Ending calls from another thread.
#pragma once

#include <atomic>
#include <mutex>
#include <unordered_set>

#include "ort/library.h"

namespace dsb {
namespace capi {

class Call;

class Cancellation {
 public:
  void cancel();
  bool cancelled() const { return cancelled_; }

 private:
  friend class Call;
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::unordered_set<Call*> calls_;
};

// One call of the interface that makes samples, or its share of one. ONNX Runtime stops what runs with its options.
class Call {
 public:
  // `cancellation` may be null, and outlives the call.
  explicit Call(Cancellation* cancellation);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Throws Failure if it was cancelled. To be asked between pieces of work.
  void check() const;
  // Ends it, as if it had been cancelled: another thread that works for it has failed.
  void abandon();
  const Ort::RunOptions& options() const { return options_; }

 private:
  friend class Cancellation;
  Cancellation* cancellation_;
  std::atomic<bool> abandoned_{false};
  mutable Ort::RunOptions options_;
};

}  // namespace capi
}  // namespace dsb

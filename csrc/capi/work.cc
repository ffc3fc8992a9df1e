#include "capi/work.h"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/float_environment.h"
#include "core/threads.h"

namespace dsb {
namespace capi {
namespace {

// The range of a request in batches, the last one smaller.
class Batches {
 public:
  Batches(const Model& model, const Plan& plan) : first_(plan.request.start), samples_(plan.request.count) {
    const uint64_t threads = static_cast<uint64_t>(model.threads());
    const uint64_t share = samples_ / threads + (samples_ % threads != 0);
    const auto asked = static_cast<uint64_t>(plan.request.batch_size);
    size_ = std::max<uint64_t>(1, asked ? std::min(asked, samples_) : std::min(share, plan.layout.batch_size));
  }

  uint64_t size() const { return size_; }
  uint64_t count() const { return samples_ / size_ + (samples_ % size_ != 0); }
  uint64_t first(uint64_t batch) const { return first_ + batch * size_; }
  uint64_t samples(uint64_t batch) const { return std::min(size_, samples_ - batch * size_); }

 private:
  uint64_t first_, samples_, size_;
};

// Batches made ahead by threads of its own, taken in order by one.
class Ahead {
 public:
  Ahead(const Model& model, const Plan& plan, const Batches& batches, Call& call)
      : model_(model), plan_(plan), batches_(batches), call_(call) {
    const auto threads =
        static_cast<size_t>(std::min<uint64_t>(static_cast<uint64_t>(model.threads()), batches.count()));
    slots_ = std::vector<Slot>(2 * threads);
    for (Slot& slot : slots_) slot.data.reset(new std::max_align_t[units()]);
    threads_.reserve(threads);
    try {
      for (size_t k = 0; k < threads; ++k) threads_.emplace_back([this] { work(); });
    } catch (const std::exception&) {  // no more threads, or memory for one: those there are make all
      if (threads_.empty()) throw Failure(DSB_ERROR_MEMORY, "no thread can be started");
    }
  }

  ~Ahead() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    call_.abandon();
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  // The batch, valid until done(). Throws what making one has thrown.
  const void* wait(uint64_t batch) {
    Slot& slot = slots_[batch % slots_.size()];
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return error_ || slot.ready == batch + 1; });
    if (error_) std::rethrow_exception(error_);
    return slot.data.get();
  }

  void done() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++taken_;
    }
    changed_.notify_all();
  }

 private:
  struct Slot {
    std::unique_ptr<std::max_align_t[]> data;
    uint64_t ready = 0;  // number of the batch in it, plus one
  };

  size_t units() const { return batches_.size() * plan_.layout.bytes / sizeof(std::max_align_t) + 1; }

  void work() noexcept {
    const FloatEnvironment environment;
    try {
      for (uint64_t batch; claim(batch);) {
        call_.check();
        Slot& slot = slots_[batch % slots_.size()];
        model_.make(plan_, batches_.first(batch), batches_.samples(batch), call_, slot.data.get());
        const std::lock_guard<std::mutex> lock(mutex_);
        slot.ready = batch + 1;
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stopped_ = true;
      changed_.notify_all();
    }
  }

  // Waits until there is room for the next batch; false when all are claimed.
  bool claim(uint64_t& batch) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || next_ == batches_.count() || next_ < taken_ + slots_.size(); });
    if (stopped_ || next_ == batches_.count()) return false;
    batch = next_++;
    return true;
  }

  const Model& model_;
  const Plan& plan_;
  const Batches& batches_;
  Call& call_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  uint64_t next_ = 0, taken_ = 0;
  bool stopped_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

void hand_over(const Plan& plan, const Batches& batches, uint64_t batch, const void* samples,
               dsb_batch_callback callback, void* user) {
  const uint64_t count = batches.samples(batch);
  const size_t bytes = static_cast<size_t>(count) * plan.layout.bytes;
  if (callback(user, batches.first(batch), count, samples, bytes) != 0)
    throw Failure(DSB_STOPPED, "the callback ended the stream");
}

}  // namespace

void generate(const Model& model, const Plan& plan, Cancellation* cancellation, void* out) {
  const Call call(cancellation);
  call.check();
  const Batches batches(model, plan);
  auto* bytes = static_cast<unsigned char*>(out);
  parallel_for(batches.count(), static_cast<unsigned>(model.threads()), [&](uint64_t batch) {
    call.check();
    unsigned char* to = bytes + batch * batches.size() * plan.layout.bytes;
    model.make(plan, batches.first(batch), batches.samples(batch), call, to);
  });
}

void stream(const Model& model, const Plan& plan, Cancellation* cancellation, dsb_batch_callback callback, void* user) {
  Call call(cancellation);
  call.check();
  const Batches batches(model, plan);
  if (model.threads() > 1 && batches.count() > 1) {
    Ahead ahead(model, plan, batches, call);
    for (uint64_t batch = 0; batch < batches.count(); ++batch, ahead.done()) {
      hand_over(plan, batches, batch, ahead.wait(batch), callback, user);
      call.check();
    }
    return;
  }
  const std::unique_ptr<std::max_align_t[]> room(
      new std::max_align_t[batches.size() * plan.layout.bytes / sizeof(std::max_align_t) + 1]);
  for (uint64_t batch = 0; batch < batches.count(); ++batch) {
    call.check();
    parallel_for(1, 1,
                 [&](uint64_t) { model.make(plan, batches.first(batch), batches.samples(batch), call, room.get()); });
    hand_over(plan, batches, batch, room.get(), callback, user);
  }
}

}  // namespace capi
}  // namespace dsb

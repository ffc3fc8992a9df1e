#include "core/helpers.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <vector>

namespace dsb {
namespace {

constexpr int kTurnsAwake = 2000;  // some 50 microseconds: a caller that asks again soon finds its helpers awake

// One piece of work, on the caller's stack.
struct Job {
  const std::function<void(unsigned)>& work;
  std::atomic<unsigned> at_work{0};
};

class Helpers {
 public:
  Helpers() : process_(getpid()) {}
  ~Helpers() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  bool are_here() const { return process_ == getpid(); }  // a forked process has none of its parent's threads

  void offer(Job& job, unsigned count) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      try {
        while (threads_.size() < count) threads_.emplace_back([this] { serve(); });
      } catch (const std::system_error&) {  // no more threads to be had: those there are help
      }
      for (unsigned member = count; member > 0; --member) offers_.push_back({&job, member});
      open_.store(offers_.size());
    }
    changed_.notify_all();
  }

  void withdraw(Job& job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto same = [&](const Offer& offer) { return offer.job == &job; };
    offers_.erase(std::remove_if(offers_.begin(), offers_.end(), same), offers_.end());
    open_.store(offers_.size());
  }

 private:
  struct Offer {
    Job* job;
    unsigned member;
  };

  void serve() {
    for (;;) {
      for (int turn = 0; turn < kTurnsAwake && !open_.load(); ++turn) relax();
      Offer offer;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return stopped_ || !offers_.empty(); });
        if (stopped_) return;
        offer = offers_.back();
        offers_.pop_back();
        open_.store(offers_.size());
        ++offer.job->at_work;
      }
      offer.job->work(offer.member);
      --offer.job->at_work;
    }
  }

  const pid_t process_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Offer> offers_;
  std::atomic<size_t> open_{0};  // offers, for those that wait awake
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

// The process's helpers, made when first asked for.
class Owner {
 public:
  ~Owner() {
    if (Helpers* made = made_.load(); made && made->are_here()) delete made;
  }
  Helpers& get() {
    Helpers* made = made_.load();
    while (!made || !made->are_here()) {  // those of the process that this one was forked from stay as they are
      auto* own = new Helpers;
      if (made_.compare_exchange_strong(made, own)) return *own;
      delete own;
    }
    return *made;
  }

 private:
  std::atomic<Helpers*> made_{nullptr};
};

}  // namespace

void with_helpers(unsigned count, const std::function<void(unsigned)>& work) {
  static Owner owner;
  Helpers& helpers = owner.get();
  Job job{work};
  helpers.offer(job, count);
  work(0);
  helpers.withdraw(job);
  wait_awake([&] { return job.at_work.load() == 0; });
}

}  // namespace dsb

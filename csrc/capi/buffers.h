// Memory that batches of a model take turns with: fresh memory costs more than it looks.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dsb {
namespace capi {

// A buffer that grows to the largest size that it was asked for; what was in it is not kept.
template <class T>
class Buffer {
 public:
  T* of(size_t size) {
    if (size > size_) {
      data_.reset();
      data_.reset(new T[size]);
      size_ = size;
    }
    return data_.get();
  }

 private:
  std::unique_ptr<T[]> data_;
  size_t size_ = 0;
};

// As many `Set`s as batches are made at once, each used by one thread at a time.
template <class Set>
class Pool {
 public:
  class Taken {
   public:
    explicit Taken(Pool& pool) : pool_(pool), set_(pool.take()) {}
    ~Taken() { pool_.give_back(std::move(set_)); }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    Set* operator->() const { return set_.get(); }
    Set& operator*() const { return *set_; }

   private:
    Pool& pool_;
    std::unique_ptr<Set> set_;
  };

 private:
  std::unique_ptr<Set> take() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        auto set = std::move(idle_.back());
        idle_.pop_back();
        return set;
      }
    }
    return std::make_unique<Set>();
  }

  void give_back(std::unique_ptr<Set> set) noexcept {
    try {
      const std::lock_guard<std::mutex> lock(mutex_);
      idle_.push_back(std::move(set));
    } catch (...) {  // no memory to keep it in mind: it is let go
    }
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Set>> idle_;
};

}  // namespace capi
}  // namespace dsb

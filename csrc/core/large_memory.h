// Memory for large buffers: in huge pages where the system gives them on request, since a page table entry for every
// 4 kB costs some per cent of the time.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dsb {

template <typename T>
struct LargeMemory {
  using value_type = T;
  static constexpr size_t kHugePage = size_t{2} << 20, kLine = 64;

  LargeMemory() = default;
  template <typename U>
  LargeMemory(const LargeMemory<U>&) {}

  T* allocate(size_t count) {
    const size_t alignment = count * sizeof(T) >= kHugePage ? kHugePage : kLine;
    const size_t bytes = (count * sizeof(T) + kLine - 1) / kLine * kLine;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (alignment == kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }

  template <typename U>
  bool operator==(const LargeMemory<U>&) const {
    return true;
  }
  template <typename U>
  bool operator!=(const LargeMemory<U>&) const {
    return false;
  }
};

using LargeVector = std::vector<float, LargeMemory<float>>;

}  // namespace dsb

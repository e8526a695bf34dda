// Small memory that is used again: what every step of a training loop needs for a moment.
#pragma once

#include <cstddef>
#include <vector>

#include "framework/core/api.hpp"

namespace rapt RAPT_API {

/// Memory of `bytes` bytes, aligned to 64: from what this thread gave back before, where there is
/// some of that size, else new. Blocks of more than a few pages are never kept.
void* take_recycled(std::size_t bytes);
/// Takes back what take_recycled(bytes) gave, in any thread. Keeps a bounded number of blocks.
void give_recycled(void* memory, std::size_t bytes) noexcept;

/// Takes memory from the thread's recycled blocks.
template <class T>
struct RecyclingAllocator {
  using value_type = T;

  RecyclingAllocator() = default;
  template <class U>
  RecyclingAllocator(const RecyclingAllocator<U>&) noexcept {}

  T* allocate(std::size_t n) { return static_cast<T*>(take_recycled(n * sizeof(T))); }
  void deallocate(T* memory, std::size_t n) noexcept { give_recycled(memory, n * sizeof(T)); }

  template <class U>
  bool operator==(const RecyclingAllocator<U>&) const noexcept {
    return true;
  }
};

/// A list that lives as long as one call, in code that runs in every step: after the first steps it
/// allocates nothing.
template <class T>
using Recycled = std::vector<T, RecyclingAllocator<T>>;

}  // namespace rapt

// Recycling of small, short-lived memory that every step of a training loop needs.
#pragma once

#include <cstddef>
#include <vector>

#include "framework/core/api.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns memory of `bytes` bytes, aligned to 64. Reuses a block of that size that this thread has
/// returned, if there is one. Blocks of more than a few pages are never kept.
void* take_recycled(std::size_t bytes);
/// Takes back memory from take_recycled(bytes), in any thread. Keeps a bounded number of blocks.
void give_recycled(void* memory, std::size_t bytes) noexcept;

/// An allocator that uses the thread's recycled blocks.
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

/// A vector that lives for one call, in code that runs in every step. After the first steps it
/// causes no new allocations.
template <class T>
using Recycled = std::vector<T, RecyclingAllocator<T>>;

}  // namespace v0
}  // namespace rapt

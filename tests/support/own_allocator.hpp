// For a program that replaces operator new: how its memory is taken, and all that gives it back.
// Include it in one source of the program, which then defines operator new and operator new[] by
// allocated(). Both: a sanitizer's own would not go with the operators below.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "framework/core/random.hpp"
#include "framework/core/tensor.hpp"

namespace rapt::test {

/// Returns memory, or null if there is none.
// Not inlined: g++ would take free() for a mistake where it sees operator new beside it.
[[gnu::noinline]] void* allocated(std::size_t bytes,
                                  std::size_t alignment = alignof(std::max_align_t)) noexcept {
  alignment = std::max(alignment, sizeof(void*));
  const std::size_t padded = (bytes + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, padded == 0 ? alignment : padded);
}
[[gnu::noinline]] void release(void* memory) noexcept { std::free(memory); }

/// Token ids in [1, vocabulary), int32 [rows, length].
inline Tensor tokens(int64_t rows, int64_t length, uint64_t seed, int64_t vocabulary) {
  Tensor ids({rows, length}, DType::int32);
  for (int64_t i = 0; i < ids.size(); ++i) {
    ids.data<int32_t>()[static_cast<size_t>(i)] =
        static_cast<int32_t>(1 + Key{seed}.below(vocabulary - 1, static_cast<uint64_t>(i)));
  }
  return ids;
}

}  // namespace rapt::test

void operator delete(void* memory) noexcept { rapt::test::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { rapt::test::release(memory); }
void operator delete[](void* memory) noexcept { rapt::test::release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { rapt::test::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { rapt::test::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  rapt::test::release(memory);
}

// Memory for the results of runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "framework/core/internal.hpp"

namespace rapt::internal {

/// A pool of memory for results. A block is reused once nobody holds it any more. A training loop
/// thus touches the same pages in every step instead of fresh ones.
class BlockPool {
 public:
  std::shared_ptr<std::byte> take(int64_t bytes);

 private:
  /// Blocks of up to this many bytes come from the thread's recycled memory (recycled.hpp).
  static constexpr int64_t small_bytes = 16384;
  static constexpr int64_t most_idle_bytes = int64_t{1} << 26;
  static constexpr size_t most_blocks = 256;

  struct Block {
    int64_t bytes;
    std::shared_ptr<std::byte> memory;
  };

  int64_t idle_bytes() const;
  void drop_idle();

  std::vector<Block> blocks_;
};

}  // namespace rapt::internal

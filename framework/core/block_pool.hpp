// Memory for the results of runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace rapt {

/// Memory for results, used again once nobody holds it any more: a training loop touches the same
/// pages in every step instead of fresh ones.
class BlockPool {
 public:
  std::shared_ptr<std::byte> take(int64_t bytes);

 private:
  /// Blocks of up to so many bytes come from what the thread recycles (recycled.hpp).
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

}  // namespace rapt

#include "framework/core/block_pool.hpp"

#include <atomic>

#include "framework/core/tensor.hpp"

namespace rapt::internal {

std::shared_ptr<std::byte> BlockPool::take(int64_t bytes) {
  if (bytes <= small_bytes) return allocate(bytes);
  for (const Block& block : blocks_) {
    if (block.bytes != bytes || block.memory.use_count() != 1) continue;
    std::atomic_thread_fence(std::memory_order_acquire);  // synchronises with the release by the
                                                          // last holder
    return block.memory;
  }
  if (idle_bytes() > most_idle_bytes || blocks_.size() > most_blocks) drop_idle();
  blocks_.push_back({bytes, allocate(bytes)});
  return blocks_.back().memory;
}

int64_t BlockPool::idle_bytes() const {
  int64_t idle = 0;
  for (const Block& block : blocks_) idle += block.memory.use_count() == 1 ? block.bytes : 0;
  return idle;
}

void BlockPool::drop_idle() {
  std::erase_if(blocks_, [](const Block& block) { return block.memory.use_count() == 1; });
  // The remaining blocks are in use. Forgets them when there are too many to expect their return.
  if (blocks_.size() > most_blocks) blocks_.clear();
}

}  // namespace rapt::internal

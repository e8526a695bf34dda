// Where buffers lie in a plan's memory.
#pragma once

#include <cstdint>
#include <vector>

namespace rapt {

/// Gives out offsets of an arena that grows as it must. A region remembers which steps used it
/// last: whoever takes it next has to wait for them, also when steps run side by side.
class ArenaLayout {
 public:
  /// An offset for `bytes`. Appends the steps that the taker has to wait for to `after`.
  int64_t take(int64_t bytes, std::vector<uint32_t>& after);
  /// Frees a region that the steps `users` were the last to use.
  void give(int64_t offset, int64_t bytes, std::vector<uint32_t> users);
  int64_t size() const { return size_; }

 private:
  struct Free {
    int64_t offset, bytes;
    std::vector<uint32_t> users;
  };
  std::vector<Free> free_;  // by offset; neighbours stay apart, each with its own users
  int64_t size_ = 0;
};

}  // namespace rapt

// Where buffers lie in a plan's memory.
#pragma once

#include <cstdint>
#include <rapt/framework/function_ref.hpp>
#include <vector>

namespace rapt {

/// Gives out offsets of an arena that grows as it must. A region remembers which steps used it
/// last: whoever takes it next has to wait for them, also when steps run side by side.
class ArenaLayout {
 public:
  /// Whether a step has run before the taker begins, whatever the taker gets.
  using HasRun = FunctionRef<bool(uint32_t)>;

  /// The arena may grow by `spare` bytes where that saves takers from waiting.
  explicit ArenaLayout(int64_t spare = 0) : spare_(spare) {}

  /// An offset for `bytes`. Appends the steps that the taker has to wait for to `after`.
  int64_t take(int64_t bytes, HasRun has_run, std::vector<uint32_t>& after);
  /// Frees a region that the steps `users` were the last to use.
  void give(int64_t offset, int64_t bytes, std::vector<uint32_t> users);
  int64_t size() const { return size_; }
  int64_t spare() const { return spare_; }

 private:
  struct Free {
    int64_t offset, bytes;
    std::vector<uint32_t> users;
  };
  /// Neighbouring free regions [begin, end), or none.
  struct Run {
    size_t begin, end;
    int64_t offset;
  };
  using Filter = FunctionRef<bool(const Free&)>;
  Run best_fit(int64_t bytes, Filter allowed) const;
  Run run_at_end(Filter allowed) const;
  int64_t cut(const Run& run, int64_t bytes, std::vector<uint32_t>& after);

  std::vector<Free> free_;  // by offset; neighbours stay apart, each with its own users
  int64_t size_ = 0;
  int64_t spare_;
};

}  // namespace rapt

// Where buffers lie in a plan's memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/core/function_ref.hpp"

namespace rapt {

/// Gives out offsets of an arena that grows as it must. A freed region remembers which steps used
/// it last. Whoever takes it next has to wait for them, as steps may run side by side.
class ArenaLayout {
 public:
  /// Whether a step has run before the taker begins, whatever the taker gets.
  using HasRun = FunctionRef<bool(uint32_t)>;

  /// The arena may grow by `spare` bytes where that saves takers from waiting.
  explicit ArenaLayout(int64_t spare = 0) : spare_(spare) {}

  /// An offset for `bytes`. Appends the steps that the taker has to wait for to `after`.
  int64_t take(int64_t bytes, HasRun has_run, std::vector<uint32_t>& after);
  /// Frees a region that the steps `users` were the last to use.
  void give(int64_t offset, int64_t bytes, std::span<const uint32_t> users);
  int64_t size() const { return size_; }
  int64_t spare() const { return spare_; }

 private:
  static constexpr uint32_t none = ~0u;

  /// Neighbours stay apart, each with its own users.
  struct Region {
    int64_t offset, bytes;
    uint32_t first_user, users;  // in users_
    uint32_t previous, next;     // of its run
  };
  /// Free regions side by side, in a list.
  struct Run {
    int64_t offset, bytes;
    uint32_t first, last;
  };
  /// Where a taker's memory begins: at a region of a run, or at the arena's end.
  struct Place {
    size_t run;
    uint32_t region;
    int64_t offset;
  };

  bool is_idle(uint32_t region, HasRun has_run) const;
  Place best_fit(int64_t bytes) const;
  Place best_idle_fit(int64_t bytes, HasRun has_run) const;
  Place end() const;
  Place idle_end(HasRun has_run) const;
  int64_t cut(const Place& place, int64_t bytes, std::vector<uint32_t>& after);
  uint32_t new_region(const Region& region);

  std::vector<Run> runs_;  // by offset; no two touch
  std::vector<Region> regions_;
  std::vector<uint32_t> unused_;  // of regions_
  std::vector<uint32_t> users_;
  int64_t size_ = 0;
  int64_t spare_;
};

}  // namespace rapt

// The allocation of buffers in a plan's arena.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/core/function_ref.hpp"
#include "framework/core/internal.hpp"
#include "framework/plan/plan_ids.hpp"

namespace rapt::internal {

/// Assigns offsets in an arena that grows as necessary. A freed region remembers which steps used
/// it last. The next step that takes it has to wait for them, because steps may run in parallel.
class ArenaLayout {
 public:
  /// True if a step has run before the taker begins, regardless of the memory that the taker gets.
  using HasRun = FunctionRef<bool(StepId)>;

  /// The arena may grow by `spare` bytes in total to save steps from waiting.
  explicit ArenaLayout(int64_t spare = 0) : spare_(spare) {}

  /// Returns an offset for `bytes`. Appends the steps that the taker has to wait for to `after`.
  int64_t take(int64_t bytes, HasRun has_run, std::vector<StepId>& after);
  /// Frees a region. `users` are the steps that used it last.
  void give(int64_t offset, int64_t bytes, std::span<const StepId> users);
  int64_t size() const { return size_; }
  int64_t spare() const { return spare_; }

 private:
  static constexpr uint32_t none = ~0u;

  /// A free region. Adjacent regions are not merged, because each has its own users.
  struct Region {
    int64_t offset, bytes;
    uint32_t first_user, users;  // in users_
    uint32_t previous, next;     // neighbours in its run
  };
  /// A list of adjacent free regions.
  struct Run {
    int64_t offset, bytes;
    uint32_t first, last;
  };
  /// The beginning of a taker's memory: a region of a run, or the end of the arena.
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
  int64_t cut(const Place& place, int64_t bytes, std::vector<StepId>& after);
  uint32_t new_region(const Region& region);

  std::vector<Run> runs_;  // by offset; no two are adjacent
  std::vector<Region> regions_;
  std::vector<uint32_t> unused_;  // unused entries of regions_
  std::vector<StepId> users_;
  int64_t size_ = 0;
  int64_t spare_;
};

}  // namespace rapt::internal

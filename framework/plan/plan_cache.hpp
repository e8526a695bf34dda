// The cache of an executor's plans.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "framework/core/internal.hpp"
#include "framework/plan/planner.hpp"

namespace rapt::internal {

/// A plan in an executor's cache, and what its runs bind to it.
struct CachedPlan {
  std::shared_ptr<const Plan> plan;
  /// The plan's views with the addresses of the latest run; empty before the first run.
  IdVector<ViewId, TensorView> views = {};
};

/// A bounded map from the structure of a recording to its plan. A hash finds the candidates. Only a
/// structure with equal words is a hit. The least recently used plan is dropped first.
class PlanCache {
 public:
  explicit PlanCache(int capacity) : capacity_(capacity) {}

  /// Returns the plan of this structure, or null. `key` consists of the structure, the targets and
  /// the known values.
  std::shared_ptr<CachedPlan> find(std::span<const uint64_t> key);
  void add(std::span<const uint64_t> key, std::shared_ptr<CachedPlan> plan);
  int64_t dropped() const { return dropped_; }

 private:
  struct Entry {
    uint64_t hash;
    std::vector<uint64_t> key;
    std::shared_ptr<CachedPlan> plan;
  };
  using Entries = std::list<Entry>;

  int capacity_;
  int64_t dropped_ = 0;
  Entries entries_;  // most recently used first
  std::unordered_multimap<uint64_t, Entries::iterator> by_hash_;
};

/// Returns a hash of words. It uses four independent chains, so that the multiplications overlap.
uint64_t hash_words(std::span<const uint64_t> words);

}  // namespace rapt::internal

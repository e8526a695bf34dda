// The plans that an executor keeps.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "framework/plan/planner.hpp"

namespace rapt {

/// A bounded map from the structure of a recording to its plan. A hash finds the candidates, and
/// only an equal structure, word by word, is a hit. The plan unused for longest goes first.
class PlanCache {
 public:
  explicit PlanCache(int capacity) : capacity_(capacity) {}

  /// The plan of this structure, or null. `key` is the structure, the targets and the values known.
  std::shared_ptr<Plan> find(std::span<const uint64_t> key);
  void add(std::span<const uint64_t> key, std::shared_ptr<Plan> plan);
  int64_t dropped() const { return dropped_; }

 private:
  struct Entry {
    uint64_t hash;
    std::vector<uint64_t> key;
    std::shared_ptr<Plan> plan;
  };
  using Entries = std::list<Entry>;

  int capacity_;
  int64_t dropped_ = 0;
  Entries entries_;  // the latest used first
  std::unordered_multimap<uint64_t, Entries::iterator> by_hash_;
};

/// A hash of words, four chains side by side so that the multiplications overlap.
uint64_t hash_words(std::span<const uint64_t> words);

}  // namespace rapt

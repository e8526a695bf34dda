#include "framework/plan/plan_cache.hpp"

#include <algorithm>

namespace rapt::internal {

uint64_t hash_words(std::span<const uint64_t> words) {
  constexpr uint64_t odd = 0x9e3779b97f4a7c15;
  uint64_t chains[4] = {1, 2, 3, 4};
  size_t i = 0;
  for (; i + 4 <= words.size(); i += 4) {
    for (size_t c = 0; c < 4; ++c) {
      const uint64_t mixed = (chains[c] ^ words[i + c]) * odd;
      chains[c] = mixed ^ (mixed >> 32);
    }
  }
  uint64_t hash = words.size();
  for (; i < words.size(); ++i) hash = (hash ^ words[i]) * odd;
  for (const uint64_t chain : chains) {
    hash = (hash ^ chain) * odd;
    hash ^= hash >> 29;
  }
  return hash;
}

std::shared_ptr<CachedPlan> PlanCache::find(std::span<const uint64_t> key) {
  const auto [begin, end] = by_hash_.equal_range(hash_words(key));
  for (auto it = begin; it != end; ++it) {
    const Entries::iterator entry = it->second;
    if (!std::equal(key.begin(), key.end(), entry->key.begin(), entry->key.end())) continue;
    entries_.splice(entries_.begin(), entries_, entry);
    return entry->plan;
  }
  return nullptr;
}

void PlanCache::add(std::span<const uint64_t> key, std::shared_ptr<CachedPlan> plan) {
  if (capacity_ <= 0) return;
  // Both insertions may throw. In that case the plan is in neither list.
  Entries added;
  added.push_front({hash_words(key), {key.begin(), key.end()}, std::move(plan)});
  by_hash_.emplace(added.front().hash, added.begin());
  entries_.splice(entries_.begin(), added);
  if (static_cast<int>(entries_.size()) > capacity_) {
    const Entry& oldest = entries_.back();
    const auto [begin, end] = by_hash_.equal_range(oldest.hash);
    for (auto it = begin; it != end; ++it) {
      if (&*it->second == &oldest) {
        by_hash_.erase(it);
        break;
      }
    }
    entries_.pop_back();
    ++dropped_;
  }
}

}  // namespace rapt::internal

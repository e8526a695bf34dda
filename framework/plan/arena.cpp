#include "framework/plan/arena.hpp"

#include <algorithm>

namespace rapt::internal {

/// Maximum number of regions that are examined for one taker, because long plans have thousands of
/// free regions.
static constexpr int most_looked_at = 256;

int64_t ArenaLayout::take(int64_t bytes, HasRun has_run, std::vector<StepId>& after) {
  if (bytes == 0) return 0;
  if (spare_ > 0) {
    const Place idle = best_idle_fit(bytes, has_run);
    if (idle.region != none) return cut(idle, bytes, after);
  }
  Place place = best_fit(bytes);
  const bool fits = place.region != none;
  if (!fits) place = end();
  if (spare_ > 0) {
    const Place grown = idle_end(has_run);
    const int64_t needed = std::max(size_, fits ? 0 : place.offset + bytes);
    const int64_t more = std::max<int64_t>(0, grown.offset + bytes - needed);
    if (more <= spare_) {
      spare_ -= more;
      place = grown;
    }
  }
  return cut(place, bytes, after);
}

bool ArenaLayout::is_idle(uint32_t region, HasRun has_run) const {
  const Region& r = regions_[region];
  const auto* const users = users_.data() + r.first_user;
  return std::all_of(users, users + r.users, has_run);
}

/// Returns the smallest run that is large enough.
ArenaLayout::Place ArenaLayout::best_fit(int64_t bytes) const {
  size_t best = runs_.size();
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (runs_[i].bytes < bytes) continue;
    if (best == runs_.size() || runs_[i].bytes < runs_[best].bytes) best = i;
  }
  if (best == runs_.size()) return {best, none, size_};
  return {best, runs_[best].first, runs_[best].offset};
}

/// Returns the smallest sufficient part of a run that consists of regions whose users have run.
ArenaLayout::Place ArenaLayout::best_idle_fit(int64_t bytes, HasRun has_run) const {
  Place best{runs_.size(), none, size_};
  int64_t best_bytes = 0;
  int left = most_looked_at;
  for (size_t i = 0; i < runs_.size() && left > 0; ++i) {
    if (runs_[i].bytes < bytes) continue;
    uint32_t first = none;
    int64_t total = 0;
    const auto consider = [&] {
      if (first != none && total >= bytes && (best.region == none || total < best_bytes)) {
        best = {i, first, regions_[first].offset};
        best_bytes = total;
      }
      first = none;
      total = 0;
    };
    for (uint32_t r = runs_[i].first; r != none && left > 0; r = regions_[r].next, --left) {
      if (!is_idle(r, has_run)) {
        consider();
        continue;
      }
      if (first == none) first = r;
      total += regions_[r].bytes;
    }
    consider();
  }
  return best;
}

/// Returns the free memory at the arena's end, from which the arena can grow.
ArenaLayout::Place ArenaLayout::end() const {
  if (runs_.empty() || runs_.back().offset + runs_.back().bytes != size_) {
    return {runs_.size(), none, size_};
  }
  return {runs_.size() - 1, runs_.back().first, runs_.back().offset};
}

/// Returns the part of end() whose users have run.
ArenaLayout::Place ArenaLayout::idle_end(HasRun has_run) const {
  Place place{runs_.size(), none, size_};
  if (runs_.empty() || runs_.back().offset + runs_.back().bytes != size_) return place;
  int left = most_looked_at;
  for (uint32_t r = runs_.back().last; r != none && left > 0; r = regions_[r].previous, --left) {
    if (!is_idle(r, has_run)) break;
    place = {runs_.size() - 1, r, regions_[r].offset};
  }
  return place;
}

int64_t ArenaLayout::cut(const Place& place, int64_t bytes, std::vector<StepId>& after) {
  const int64_t end = place.offset + bytes;
  size_ = std::max(size_, end);
  if (place.region == none) return place.offset;
  Run& run = runs_[place.run];
  const int64_t run_end = run.offset + run.bytes;
  const uint32_t before = regions_[place.region].previous;
  uint32_t region = place.region;
  while (region != none && regions_[region].offset < end) {
    Region& r = regions_[region];
    const auto* const users = users_.data() + r.first_user;
    after.insert(after.end(), users, users + r.users);
    const int64_t rest = r.offset + r.bytes - end;
    if (rest > 0) {
      r.offset = end;
      r.bytes = rest;
      break;
    }
    unused_.push_back(region);
    region = r.next;
  }
  // The remaining parts are the regions before, and those from `region` on.
  const uint32_t last = run.last;
  if (region != none) regions_[region].previous = none;
  if (before != none) {
    regions_[before].next = none;
    run.bytes = place.offset - run.offset;
    run.last = before;
    if (region != none) {
      runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(place.run) + 1,
                   {end, run_end - end, region, last});
    }
  } else if (region != none) {
    run = {end, run_end - end, region, last};
  } else {
    runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(place.run));
  }
  return place.offset;
}

uint32_t ArenaLayout::new_region(const Region& region) {
  if (unused_.empty()) {
    regions_.push_back(region);
    return static_cast<uint32_t>(regions_.size()) - 1;
  }
  const uint32_t index = unused_.back();
  unused_.pop_back();
  regions_[index] = region;
  return index;
}

void ArenaLayout::give(int64_t offset, int64_t bytes, std::span<const StepId> users) {
  if (bytes == 0) return;
  const auto first_user = static_cast<uint32_t>(users_.size());
  users_.insert(users_.end(), users.begin(), users.end());
  const uint32_t region =
      new_region({offset, bytes, first_user, static_cast<uint32_t>(users.size()), none, none});
  const auto next = std::lower_bound(runs_.begin(), runs_.end(), offset,
                                     [](const Run& run, int64_t o) { return run.offset < o; });
  const bool touches_next = next != runs_.end() && offset + bytes == next->offset;
  const auto previous = next == runs_.begin() ? runs_.end() : next - 1;
  const bool touches_previous =
      previous != runs_.end() && previous->offset + previous->bytes == offset;
  if (touches_previous) {
    regions_[previous->last].next = region;
    regions_[region].previous = previous->last;
    previous->last = region;
    previous->bytes += bytes;
    if (!touches_next) return;
    regions_[region].next = next->first;
    regions_[next->first].previous = region;
    previous->last = next->last;
    previous->bytes += next->bytes;
    runs_.erase(next);
  } else if (touches_next) {
    regions_[region].next = next->first;
    regions_[next->first].previous = region;
    *next = {offset, bytes + next->bytes, region, next->last};
  } else {
    runs_.insert(next, {offset, bytes, region, region});
  }
}

}  // namespace rapt::internal

#include <algorithm>
#include <rapt/framework/arena.hpp>

namespace rapt {

int64_t ArenaLayout::take(int64_t bytes, HasRun has_run, std::vector<uint32_t>& after) {
  if (bytes == 0) return 0;
  const auto all = [](const Free&) { return true; };
  const auto idle = [&](const Free& f) {
    return std::all_of(f.users.begin(), f.users.end(), has_run);
  };
  if (spare_ > 0) {
    const Run run = best_fit(bytes, idle);
    if (run.begin < run.end) return cut(run, bytes, after);
  }
  Run run = best_fit(bytes, all);
  const bool fits = run.begin < run.end;
  if (!fits) run = run_at_end(all);
  if (spare_ > 0) {
    const Run grown = run_at_end(idle);
    const int64_t more = grown.offset + bytes - (fits ? size_ : run.offset + bytes);
    if (more <= spare_) {
      spare_ -= more;
      run = grown;
    }
  }
  return cut(run, bytes, after);
}

/// The smallest run that has room.
ArenaLayout::Run ArenaLayout::best_fit(int64_t bytes, Filter allowed) const {
  Run best{free_.size(), free_.size(), size_};
  int64_t best_bytes = 0;
  for (size_t begin = 0; begin < free_.size();) {
    size_t end = begin;
    int64_t total = 0;
    while (end < free_.size() && allowed(free_[end]) &&
           free_[end].offset == free_[begin].offset + total) {
      total += free_[end++].bytes;
    }
    if (total >= bytes && (best.begin == best.end || total < best_bytes)) {
      best = {begin, end, free_[begin].offset};
      best_bytes = total;
    }
    begin = std::max(end, begin + 1);
  }
  return best;
}

/// What is free at the arena's end, from where it can grow.
ArenaLayout::Run ArenaLayout::run_at_end(Filter allowed) const {
  Run run{free_.size(), free_.size(), size_};
  while (run.begin > 0 && allowed(free_[run.begin - 1]) &&
         free_[run.begin - 1].offset + free_[run.begin - 1].bytes == run.offset) {
    run.offset = free_[--run.begin].offset;
  }
  return run;
}

int64_t ArenaLayout::cut(const Run& run, int64_t bytes, std::vector<uint32_t>& after) {
  const int64_t end = run.offset + bytes;
  size_t used = run.begin;
  for (; used < run.end && free_[used].offset < end; ++used) {
    Free& region = free_[used];
    after.insert(after.end(), region.users.begin(), region.users.end());
    const int64_t rest = region.offset + region.bytes - end;
    if (rest > 0) {
      region.offset = end;
      region.bytes = rest;
      break;
    }
  }
  free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(run.begin),
              free_.begin() + static_cast<std::ptrdiff_t>(used));
  size_ = std::max(size_, end);
  return run.offset;
}

void ArenaLayout::give(int64_t offset, int64_t bytes, std::vector<uint32_t> users) {
  if (bytes == 0) return;
  const auto at = std::lower_bound(free_.begin(), free_.end(), offset,
                                   [](const Free& f, int64_t o) { return f.offset < o; });
  free_.insert(at, {offset, bytes, std::move(users)});
}

}  // namespace rapt

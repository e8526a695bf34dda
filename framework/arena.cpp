#include <algorithm>
#include <rapt/framework/arena.hpp>

namespace rapt {

int64_t ArenaLayout::take(int64_t bytes, std::vector<uint32_t>& after) {
  if (bytes == 0) return 0;
  // Best fit over runs of neighbouring free regions; a run at the arena's end can grow.
  size_t best = free_.size(), best_end = free_.size();
  int64_t best_bytes = 0;
  for (size_t begin = 0; begin < free_.size();) {
    size_t end = begin;
    int64_t total = 0;
    do {
      total += free_[end].bytes;
      ++end;
    } while (end < free_.size() &&
             free_[end].offset == free_[end - 1].offset + free_[end - 1].bytes);
    if (total >= bytes && (best == free_.size() || total < best_bytes)) {
      best = begin;
      best_end = end;
      best_bytes = total;
    }
    begin = end;
  }
  int64_t offset = size_;
  if (best == free_.size()) {
    // Nothing fits: grow, starting at the free regions that touch the end.
    while (best > 0 && free_[best - 1].offset + free_[best - 1].bytes == offset) {
      --best;
      offset = free_[best].offset;
    }
    size_ = offset + bytes;
    best_end = free_.size();
  } else {
    offset = free_[best].offset;
  }
  size_t used = best;
  while (used < best_end && free_[used].offset < offset + bytes) {
    after.insert(after.end(), free_[used].users.begin(), free_[used].users.end());
    const int64_t end = free_[used].offset + free_[used].bytes;
    if (end > offset + bytes) {
      free_[used].offset = offset + bytes;
      free_[used].bytes = end - free_[used].offset;
      break;
    }
    ++used;
  }
  free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(best),
              free_.begin() + static_cast<std::ptrdiff_t>(used));
  return offset;
}

void ArenaLayout::give(int64_t offset, int64_t bytes, std::vector<uint32_t> users) {
  if (bytes == 0) return;
  const auto at = std::lower_bound(free_.begin(), free_.end(), offset,
                                   [](const Free& f, int64_t o) { return f.offset < o; });
  free_.insert(at, {offset, bytes, std::move(users)});
}

}  // namespace rapt

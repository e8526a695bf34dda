// A key/value cache for decoding that grows with the text.
#pragma once

#include <vector>

#include "framework/core/api.hpp"
#include "models/layers/multi_head.hpp"

namespace rapt RAPT_API {

/// The tables of a key/value cache that grows: which rows are whose ancestors, and room for the
/// keys and values of `layers` layers, [T, N, H, D] each. Room doubles, so that there are few
/// plans.
class GrowingCache {
 public:
  GrowingCache(int64_t layers, int64_t heads, int64_t depth);

  /// Makes room for one more step of such rows. `parents` is empty at the first.
  void advance(int64_t rows, const std::vector<int32_t>& parents);
  /// int32 [R, T], int32 [1], as Vars of the current tape.
  CachePlace place() const;
  const KeyValueCache& operator[](size_t layer) const { return layers_[layer]; }
  int64_t steps() const { return steps_; }

 private:
  void grow(int64_t steps, int64_t rows);

  int64_t heads_, depth_;
  int64_t steps_ = 0;  // so far
  int64_t most_steps_ = 0, most_rows_ = 0;
  std::vector<KeyValueCache> layers_;
  Tensor ancestors_;  // int32 [R, T]
};

}  // namespace rapt

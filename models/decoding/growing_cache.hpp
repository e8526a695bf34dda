// A key/value cache for decoding that grows with the text.
#pragma once

#include <vector>

#include "framework/core/api.hpp"
#include "models/layers/multi_head.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// A growing key/value cache: a table of each row's ancestors, and the keys and values of `layers`
/// layers, [T, N, H, D] each. The capacity T doubles when it is exceeded, so that few plans are
/// needed.
class GrowingCache {
 public:
  GrowingCache(int64_t layers, int64_t heads, int64_t depth);

  /// Makes room for one more step of `rows` rows. `parents` holds the row of the previous step that
  /// each row continues; it is empty at the first step.
  void advance(int64_t rows, const std::vector<int32_t>& parents);
  /// Returns ancestors, int32 [R, T], and the current step, int32 [1], as Vars of the current tape.
  CachePlace place() const;
  const KeyValueCache& operator[](size_t layer) const { return layers_[layer]; }

 private:
  void grow(int64_t steps, int64_t rows);

  int64_t heads_, depth_;
  int64_t steps_ = 0;  ///< number of steps so far
  int64_t most_steps_ = 0, most_rows_ = 0;
  std::vector<KeyValueCache> layers_;
  Tensor ancestors_;  ///< int32 [R, T]
};

}  // namespace v0
}  // namespace rapt

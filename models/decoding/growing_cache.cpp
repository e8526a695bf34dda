#include "models/decoding/growing_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "framework/core/error.hpp"
#include "models/decoding/step_model.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Copies the first `used` steps of a cache [T, N, ..] into a larger one.
Tensor grown(const Tensor& from, int64_t used, const Shape& shape) {
  Tensor to(shape);
  if (!from || used == 0) return to;
  const auto width = static_cast<size_t>(from.shape()[2] * from.shape()[3]) * sizeof(float);
  const auto old_rows = static_cast<size_t>(from.shape()[1]);
  const auto new_rows = static_cast<size_t>(shape[1]);
  for (size_t t = 0; t < static_cast<size_t>(used); ++t) {
    std::memcpy(static_cast<std::byte*>(to.bytes()) + t * new_rows * width,
                static_cast<std::byte*>(from.bytes()) + t * old_rows * width, old_rows * width);
  }
  return to;
}

}  // namespace

GrowingCache::GrowingCache(int64_t layers, int64_t heads, int64_t depth)
    : heads_(heads), depth_(depth), layers_(static_cast<size_t>(layers)) {}

void GrowingCache::grow(int64_t steps, int64_t rows) {
  const Shape shape{steps, rows, heads_, depth_};
  for (KeyValueCache& layer : layers_) {
    layer.keys = grown(layer.keys, steps_, shape);
    layer.values = grown(layer.values, steps_, shape);
  }
  most_steps_ = steps;
  most_rows_ = rows;
}

void GrowingCache::advance(int64_t rows, const std::vector<int32_t>& parents) {
  constexpr int64_t first_steps = 16;
  if (steps_ == most_steps_ || rows > most_rows_) {
    const int64_t more = std::max(first_steps, 2 * most_steps_);
    grow(steps_ == most_steps_ ? more : most_steps_, std::max(rows, most_rows_));
  }
  // Allocate a new table: the previous one belongs to a tape that may still exist.
  Tensor table({rows, most_steps_}, DType::int32);
  int32_t* to = table.data<int32_t>().data();
  for (int64_t r = 0; r < rows; ++r, to += most_steps_) {
    std::fill(to, to + most_steps_, 0);
    if (steps_ > 0) {
      const int64_t width = ancestors_.shape()[1];
      const auto at = static_cast<size_t>(r);
      const int32_t parent = at < parents.size() ? parents[at] : -1;
      if (parent < 0 || parent >= ancestors_.shape()[0]) {
        throw Error({.op = "step",
                     .detail = fmt::format("row {} continues row {} of {}", r, parent,
                                           ancestors_.shape()[0])});
      }
      const int32_t* from = ancestors_.data<int32_t>().data() + parent * width;
      std::copy(from, from + steps_, to);
    }
    to[steps_] = static_cast<int32_t>(r);
  }
  ancestors_ = table;
  ++steps_;
}

CachePlace GrowingCache::place() const {
  return {as_var(ancestors_), int_leaf({static_cast<int32_t>(steps_ - 1)})};
}

}  // namespace v0
}  // namespace rapt

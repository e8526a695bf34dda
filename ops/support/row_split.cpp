#include "ops/support/row_split.hpp"

#include <fmt/format.h>

#include "framework/core/cpu.hpp"
#include "framework/core/error.hpp"

namespace rapt::internal {

RowExtent row_extent(const Shape& shape, uint32_t inputs, uint32_t outputs) {
  return {.count = rows_of(shape),
          .width = shape[-1],
          .range = range_of(shape[-1]),
          .inputs = inputs,
          .outputs = outputs};
}

void check_lengths(const TensorView& lengths, int64_t most) {
  const auto* values = lengths.as<const int32_t>();
  for (int64_t b = 0; b < lengths.size(); ++b) {
    if (values[b] >= 0 && values[b] <= most) continue;
    throw Error(fmt::format("length {} of row {} is none of 0 .. {}", values[b], b, most));
  }
}

bool write_past_caches(const TensorView& out) {
  constexpr int64_t large = int64_t{1} << 22;  // several times the private cache of a core
  return out.size() * size_of(out.dtype) >= large && prefers_streaming_stores();
}

std::string position_in(const Shape& shape, int64_t index) {
  Shape position = shape;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    position[axis] = index % shape[axis];
    index /= shape[axis];
  }
  return fmt::format("position {}", to_string(position));
}

}  // namespace rapt::internal

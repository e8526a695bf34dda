#include <fmt/format.h>

#include <rapt/ops/row_split.hpp>

namespace rapt {

std::string position_in(const Shape& shape, int64_t index) {
  Shape position = shape;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    position[axis] = index % shape[axis];
    index /= shape[axis];
  }
  return fmt::format("position {}", to_string(position));
}

}  // namespace rapt

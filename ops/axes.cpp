#include <fmt/format.h>

#include <algorithm>
#include <rapt/framework/error.hpp>
#include <rapt/ops/axes.hpp>

namespace rapt {

Axes::Axes(std::span<const int> axes) : count_(static_cast<int>(axes.size())) {
  if (axes.size() > axes_.size()) {
    throw Error(fmt::format("axes: {} axes, but arrays have at most {}", axes.size(), max_rank));
  }
  std::copy(axes.begin(), axes.end(), axes_.begin());
}

Axes Axes::all() {
  Axes axes(std::span<const int>{});
  axes.count_ = -1;
  return axes;
}

int checked_axis(const ShapeContext& c, int64_t axis, const Shape& shape) {
  if (axis < -shape.rank() || axis >= shape.rank()) {
    c.fail(fmt::format("there is no axis {} in {}", axis, to_string(shape)));
  }
  return from_front(axis, shape.rank());
}

}  // namespace rapt

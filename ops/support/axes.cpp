#include "ops/support/axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "framework/core/error.hpp"
#include "framework/graph/scope.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

bool is_there(int64_t axis, const Shape& shape) {
  return axis >= -shape.rank() && axis < shape.rank();
}

std::string not_there(int64_t axis, const Shape& shape) {
  return fmt::format("there is no axis {} in {}", axis, to_string(shape));
}

}  // namespace

Axes::Axes(std::span<const int> axes) : count_(static_cast<int>(axes.size())) {
  if (axes.size() > axes_.size()) {
    throw Error(
        {.op = "axes",
         .detail = fmt::format("{} axes, but arrays have at most {}", axes.size(), max_rank)});
  }
  std::copy(axes.begin(), axes.end(), axes_.begin());
}

Axes Axes::all() {
  Axes axes(std::span<const int>{});
  axes.count_ = -1;
  return axes;
}

std::array<bool, max_rank> marked_axes(std::span<const int64_t> words, int rank) {
  std::array<bool, max_rank> marked{};
  for (const int64_t axis : words) marked[static_cast<size_t>(from_front(axis, rank))] = true;
  return marked;
}

size_t put_axes(const Axes& axes, const Arg& operand, int64_t* words) {
  if (!axes.is_all())
    return static_cast<size_t>(std::copy(axes.begin(), axes.end(), words) - words);
  const auto rank = static_cast<size_t>(as_var(operand).rank());
  std::iota(words, words + rank, int64_t{0});
  return rank;
}

int checked_axis(const ShapeContext& c, int64_t axis, const Shape& shape) {
  if (!is_there(axis, shape)) c.fail(not_there(axis, shape));
  return from_front(axis, shape.rank());
}

void check_axes(const ShapeContext& c, std::span<const int64_t> axes, const Shape& shape) {
  std::array<bool, max_rank> seen{};
  for (const int64_t word : axes) {
    const int axis = checked_axis(c, word, shape);
    if (seen[static_cast<size_t>(axis)]) c.fail(fmt::format("axis {} comes twice", axis));
    seen[static_cast<size_t>(axis)] = true;
  }
}

void check_places(const ShapeContext& c, int64_t axis, const Shape& shape) {
  const int at = from_front(axis, shape.rank());
  if (shape[at] - 1 <= std::numeric_limits<int32_t>::max()) return;
  c.fail(fmt::format("axis {} of {} has more places than int32 can count", at, to_string(shape)));
}

void fail(std::string_view op, std::string_view message, SourceLocation where, ErrorKind kind) {
  throw Error({.kind = kind,
               .op = std::string(op),
               .detail = std::string(message),
               .place = place_of(where)});
}

int checked_axis(std::string_view op, int64_t axis, const Shape& shape, SourceLocation where) {
  if (!is_there(axis, shape)) fail(op, not_there(axis, shape), where);
  return from_front(axis, shape.rank());
}

}  // namespace v0
}  // namespace rapt

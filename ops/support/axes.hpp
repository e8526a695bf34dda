// Arguments that name the axes of an operator.
#pragma once

#include <concepts>

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Axes of an array. Each counts from 0, or from the end if negative: `sum(x, -1)`,
/// `sum(x, {0, 1})`.
class Axes {
 public:
  Axes(int axis) : Axes({axis}) {}  // NOLINT(google-explicit-constructor): reads as an argument
  /// Throws Error for more than max_rank axes.
  Axes(std::initializer_list<int> axes) : Axes(std::span(axes.begin(), axes.size())) {}
  explicit Axes(std::span<const int> axes);
  /// Deleted, because a flag such as keepdims in this position would be taken for axis 1.
  template <std::same_as<bool> Flag>
  Axes(Flag) = delete;
  /// Stands for every axis of the operand.
  static Axes all();

  bool is_all() const { return count_ < 0; }
  int size() const { return count_; }
  int operator[](int i) const { return axes_[static_cast<size_t>(i)]; }
  const int* begin() const { return axes_.data(); }
  const int* end() const { return axes_.data() + (count_ < 0 ? 0 : count_); }

 private:
  std::array<int, max_rank> axes_{};
  int count_ = 0;
};

/// Returns the axis counted from 0.
constexpr int from_front(int64_t axis, int rank) {
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

/// Returns for each axis of an array of this rank whether the words name it.
std::array<bool, max_rank> marked_axes(std::span<const int64_t> words, int rank);

/// Writes the axes as words and returns their number. `all` is written axis by axis.
size_t put_axes(const Axes& axes, const Arg& operand, int64_t* words);

// ---- checks in shape rules ----------------------------------------------------------------------

/// Returns the axis counted from 0. Fails if `shape` has no such axis.
int checked_axis(const ShapeContext& c, int64_t axis, const Shape& shape);
/// Fails if `shape` lacks one of the axes, or if one is named twice.
void check_axes(const ShapeContext& c, std::span<const int64_t> axes, const Shape& shape);
/// Fails if `shape` has more positions along the axis than int32 can count. The caller stores
/// positions as int32.
void check_places(const ShapeContext& c, int64_t axis, const Shape& shape);

// ---- the same checks in functions composed of several operators --------------------------------

/// Throws Error as ShapeContext::fail does.
[[noreturn]] void fail(std::string_view op, std::string_view message, SourceLocation where,
                       ErrorKind kind = ErrorKind::shape);
int checked_axis(std::string_view op, int64_t axis, const Shape& shape, SourceLocation where);

}  // namespace v0
}  // namespace rapt

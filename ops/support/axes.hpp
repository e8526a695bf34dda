// How operators are told along which axes they work.
#pragma once

#include <concepts>

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// Axes of an array, each from 0 or, negative, from the end: `sum(x, -1)`, `sum(x, {0, 1})`.
class Axes {
 public:
  Axes(int axis) : Axes({axis}) {}  // NOLINT(google-explicit-constructor): reads as an argument
  /// Throws Error for more than max_rank axes.
  Axes(std::initializer_list<int> axes) : Axes(std::span(axes.begin(), axes.size())) {}
  explicit Axes(std::span<const int> axes);
  /// A flag such as keepdims that landed here would be taken for axis 1.
  template <std::same_as<bool> Flag>
  Axes(Flag) = delete;
  /// Every axis that the operand has.
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

/// The axis counted from 0.
constexpr int from_front(int64_t axis, int rank) {
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

/// For each axis of an array of this rank, whether the words name it.
std::array<bool, max_rank> marked_axes(std::span<const int64_t> words, int rank);

/// Writes the axes as words, those of `all` one by one; returns how many they are.
size_t put_axes(const Axes& axes, const Arg& operand, int64_t* words);

// ---- checks in shape rules ----------------------------------------------------------------------

/// The axis counted from 0; fails where `shape` has no such axis.
int checked_axis(const ShapeContext& c, int64_t axis, const Shape& shape);
/// Fails where `shape` lacks one of the axes, or one comes twice.
void check_axes(const ShapeContext& c, std::span<const int64_t> axes, const Shape& shape);
/// Fails where `shape` has more places along the axis than int32, which is to hold them, can count.
void check_places(const ShapeContext& c, int64_t axis, const Shape& shape);

// ---- the same in functions that are made of several operators -----------------------------------

/// Throws Error as ShapeContext::fail does.
[[noreturn]] void fail(std::string_view op, std::string_view message, SourceLocation where);
int checked_axis(std::string_view op, int64_t axis, const Shape& shape, SourceLocation where);

}  // namespace RAPT_API

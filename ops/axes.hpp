// How operators are told along which axes they work.
#pragma once

#include <concepts>
#include <rapt/framework/op.hpp>

namespace rapt {

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

/// The same in a shape rule: fails where `shape` has no such axis.
int checked_axis(const ShapeContext& c, int64_t axis, const Shape& shape);

}  // namespace rapt

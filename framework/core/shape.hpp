// Shapes and strides.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "framework/core/api.hpp"
#include "framework/core/dtype.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

inline constexpr int max_rank = 8;

/// The sizes of an array's dimensions, at most max_rank of them; rank 0 is a scalar.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  /// Throws Error for more than max_rank dimensions or a negative one.
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  /// Returns a dimension. Negative indices count from the end; they are not checked.
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(index(axis))]; }
  int64_t& operator[](int axis) { return dims_[static_cast<size_t>(index(axis))]; }
  /// Returns the number of elements. Throws Error for a negative dimension, or more than 2^58
  /// elements.
  int64_t size() const {
    int64_t n = 1;
    bool fits = true;
    for (int i = 0; i < rank_; ++i) {
      const int64_t dim = dims_[static_cast<size_t>(i)];
      fits = !__builtin_mul_overflow(n, dim, &n) && dim >= 0 && n <= most_elements && fits;
    }
    if (!fits) throw_size();
    return n;
  }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  /// Appends a dimension. Throws Error for more than max_rank dimensions or a negative one.
  void push_back(int64_t dim);

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

 private:
  static constexpr int64_t most_elements = int64_t{1} << 58;

  int index(int axis) const { return axis < 0 ? axis + rank_ : axis; }
  [[noreturn]] void throw_size() const;

  std::array<int64_t, max_rank> dims_{};
  int rank_ = 0;
};

/// Returns "[64, 128]".
std::string to_string(const Shape& shape);

/// The distances between neighbours along each axis, in elements.
using Strides = std::array<int64_t, max_rank>;

/// Returns the strides of a contiguous row-major array.
Strides contiguous_strides(const Shape& shape);

/// True if the elements are contiguous in row-major order. Strides of axes of size 1 are ignored.
bool is_contiguous(const Shape& shape, const Strides& strides);

/// Stores the shape of NumPy's broadcasting in `out`. Returns false if the shapes are incompatible.
bool broadcast(const Shape& a, const Shape& b, Shape& out);

}  // namespace v0
}  // namespace rapt

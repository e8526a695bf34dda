// Single elements of an array at computed indices: table[i][j].
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns x[index[0], index[1], ...], with one index for each axis of x. The indices broadcast
/// together, and the result has their shape. They are int32 or float arrays. Floats are rounded to
/// the nearest whole number, so that indices can be computed with any operator. An index beyond the
/// end of an axis is clamped to that end. The gradient of x is summed in a fixed order. The indices
/// get no gradient.
///
/// Throws Error if the number of indices is not the rank of x, or if they do not broadcast
/// together.
Var element(const Arg& x, std::span<const Arg> index);
inline Var element(const Arg& x, std::initializer_list<Arg> index) {
  return element(x, std::span(index.begin(), index.size()));
}

/// Operator behind element(). Its inputs are x and the indices.
extern const Op element_op;

/// Array with some of its axes indexed. Once all axes have an index, `table[i][j]` stands for
/// element(table, {i, j}) wherever a Var is expected.
class Indexed {
 public:
  explicit Indexed(const Arg& array) : array_(array) {}

  Indexed operator[](const Arg& index) const;
  /// Throws Error if an axis has no index yet.
  operator Var() const;  // NOLINT(google-explicit-constructor): reads as the element it stands for
  operator Arg() const;  // NOLINT(google-explicit-constructor)

 private:
  Arg array_;
  std::array<Var, max_rank> index_;
  int count_ = 0;
};

/// Implements `array[index]` for Var's and Parameter's operator[].
Indexed index_array(const Arg& array, const Arg& index);

}  // namespace v0
}  // namespace rapt

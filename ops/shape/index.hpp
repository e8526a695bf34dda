// Single elements of an array by computed indices: table[i][j].
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// x[index[0], index[1], ...]: one index for each axis of x. The indices broadcast together, and
/// the result has their shape. They are int32 or float arrays; floats are rounded to the nearest
/// whole number, so that indices can be computed like anything else. An index beyond an end of its
/// axis reads that end. The gradient is added up in a fixed order; none passes to the indices.
///
/// Throws Error where the indices are not as many as x has axes, or do not broadcast together.
Var element(const Arg& x, std::span<const Arg> index);
inline Var element(const Arg& x, std::initializer_list<Arg> index) {
  return element(x, std::span(index.begin(), index.size()));
}

/// The operator itself: inputs x and its indices.
extern const Op element_op;

/// An array with some of its axes indexed: `table[i][j]` stands for element(table, {i, j}) wherever
/// a Var is expected, once all axes have their index.
class Indexed {
 public:
  explicit Indexed(const Arg& array) : array_(array) {}

  Indexed operator[](const Arg& index) const;
  /// Throws Error while an axis has no index yet.
  operator Var() const;  // NOLINT(google-explicit-constructor): reads as the element it stands for
  operator Arg() const;  // NOLINT(google-explicit-constructor)

 private:
  Arg array_;
  std::array<Var, max_rank> index_;
  int count_ = 0;
};

/// What `array[index]` means; found by Var's and Parameter's own operator[].
Indexed index_array(const Arg& array, const Arg& index);

}  // namespace RAPT_API

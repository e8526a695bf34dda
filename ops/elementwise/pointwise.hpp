// What elementwise operators are made of: each is one instruction of a pointwise program.
#pragma once

#include "framework/graph/op.hpp"
#include "ops/kernels/elementwise/pointwise.hpp"

namespace rapt {

/// The family of all elementwise operators: its programs run in ops/kernels/pointwise.
extern const PointwiseFamily pointwise_family;

/// The attributes of dropout: what its probability is.
struct DropoutAttributes {
  double p;
};

/// An elementwise operator's shape rule: the operands' shapes broadcast, their types agree.
void pointwise_shape(ShapeContext& c);
/// The same for functions of real numbers: the operands have to be floats.
void float_shape(ShapeContext& c);
/// The same for a comparison: the output is boolean.
void comparison_shape(ShapeContext& c);
/// The same for logic: operands and output are boolean.
void logic_shape(ShapeContext& c);

constexpr int64_t code_of(kernels::Code code) { return static_cast<int64_t>(code); }

}  // namespace rapt

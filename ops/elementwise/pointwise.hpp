// Definition of elementwise operators. Each is one instruction of a pointwise program.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/graph/op.hpp"
#include "ops/kernels/elementwise/pointwise.hpp"

namespace rapt::internal {

/// Family of all elementwise operators. Its programs run in ops/kernels/pointwise.
extern const PointwiseFamily pointwise_family;

/// Returns the elementwise operator with this instruction (CpuOp::code), other than dropout.
const Op& elementwise_op(int64_t code);

/// Computes t softplus(-x) + (1 - t) softplus(x), the loss of a logit x for a target t.
Var logistic_loss(const Arg& x, const Arg& t);

/// Attributes of dropout: the probability.
struct DropoutAttributes {
  double p;
};

/// Shape rule of elementwise operators: the shapes of the operands broadcast, and their types
/// agree.
void pointwise_shape(ShapeContext& c);
/// Shape rule of functions of real numbers: in addition, the operands have to be floats.
void float_shape(ShapeContext& c);
/// Shape rule of comparisons: the output is boolean.
void comparison_shape(ShapeContext& c);
/// Shape rule of logical operators: operands and output are boolean.
void logic_shape(ShapeContext& c);

constexpr int64_t code_of(kernels::Code code) { return static_cast<int64_t>(code); }

}  // namespace rapt::internal

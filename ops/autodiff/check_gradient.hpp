// Certifies gradients: derivatives against finite differences, in double precision.
#pragma once

#include <string_view>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/function_ref.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// An input that check_gradient draws.
struct InputSpec {
  Shape shape;
  double low = -2, high = 2;     // values are uniform in [low, high)
  DType dtype = DType::float64;  // int32 and boolean inputs are given, not differentiated
};

/// Inputs of these shapes, with values in [-2, 2).
std::vector<InputSpec> shapes(std::initializer_list<Shape> shapes);

/// Inputs of random shapes. The shapes stand between commas, each a list of sizes: a letter is a
/// size between 1 and 6, the same wherever it stands. shapes("B T D, D 4", key).
/// Throws Error for anything else in the text.
std::vector<InputSpec> shapes(std::string_view text, Key key);

struct GradientCheckOptions {
  /// A derivative may differ from its finite difference by atol + rtol * |finite difference|.
  double atol = 1e-7;
  double rtol = 1e-5;
  bool second_order = true;
  /// What inputs, weights of the outputs and directions are drawn from.
  Key key{1};
};

/// Compares the gradient of sum(f(inputs) * w), for random w, with central differences, element by
/// element; then, unless told otherwise, the same for the gradient's product with a random
/// direction, which is the second derivative. Throws Error naming the first element that differs.
///
/// f records on a training tape and may be called many times; it must be smooth where it is looked
/// at.
void check_gradient(FunctionRef<Var(std::span<const Var>)> f, std::span<const InputSpec> inputs,
                    const GradientCheckOptions& options = {});

/// The same for one operator and its first output.
void check_gradient(StaticOp op, const std::vector<InputSpec>& inputs,
                    std::span<const int64_t> words = {}, const GradientCheckOptions& options = {});

}  // namespace RAPT_API

// Gradient checking: compares derivatives with finite differences in double precision.
#pragma once

#include <string_view>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/function_ref.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Shape, range and type of an input that check_gradient() draws.
struct InputSpec {
  Shape shape;
  double low = -2, high = 2;     ///< Values are uniform in [low, high).
  DType dtype = DType::float64;  ///< int32 and boolean inputs are not differentiated.
};

/// Returns inputs of the given shapes, with values in [-2, 2).
std::vector<InputSpec> shapes(std::initializer_list<Shape> shapes);

/// Returns inputs of random shapes. The text lists shapes separated by commas, each as a list of
/// sizes. A letter is a random size from 1 to 6, the same at every occurrence. Example: shapes("B T
/// D, D 4", key). Throws Error for any other text.
std::vector<InputSpec> shapes(std::string_view text, Key key);

struct GradientCheckOptions {
  /// Tolerance: a derivative may differ from its finite difference by atol + rtol * |finite
  /// difference|.
  double atol = 1e-7;
  double rtol = 1e-5;
  bool second_order = true;
  /// Key of the random inputs, output weights and directions.
  Key key{1};
};

/// Compares the gradient of sum(f(inputs) * w), for random w, with central differences, element by
/// element. If second_order is set, it then checks the gradient's product with a random direction
/// in the same way, which checks the second derivative. Throws Error that names the first element
/// that differs.
///
/// f records on a training tape and may be called many times. It must be smooth around the inputs.
void check_gradient(FunctionRef<Var(std::span<const Var>)> f, std::span<const InputSpec> inputs,
                    const GradientCheckOptions& options = {});

/// Checks the gradient of one operator's first output in the same way.
void check_gradient(StaticOp op, const std::vector<InputSpec>& inputs,
                    std::span<const int64_t> words = {}, const GradientCheckOptions& options = {});

}  // namespace v0
}  // namespace rapt

// Activation functions that a matrix product can apply to its result before it stores it.
#pragma once

#include "framework/core/api.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Activation applied to a product's result. gelu is the exact form, x * (1 + erf(x / sqrt(2))) /
/// 2. silu is x * sigmoid(x).
enum class Activation { none, relu, gelu, tanh, sigmoid, silu };

}  // namespace v0
}  // namespace rapt

// The activations that a product applies on its way out.
#pragma once

#include "framework/core/api.hpp"

namespace rapt RAPT_API {

/// gelu is the exact form, x * (1 + erf(x / sqrt(2))) / 2; silu is x * sigmoid(x).
enum class Activation { none, relu, gelu, tanh, sigmoid, silu };

}  // namespace RAPT_API

// Checks of options. Each throws an Error that names the option, its value, and what is allowed.
#pragma once

#include <cstdint>
#include <string_view>

#include "framework/core/internal.hpp"

namespace rapt::internal {

/// Throws Error unless the value is `least` or more. `op` is the function, layer or model that has
/// the option.
void check_at_least(std::string_view op, std::string_view option, int64_t value, int64_t least);

/// Throws Error unless the value is finite, and 0 or more.
void check_not_negative(std::string_view op, std::string_view option, double value);

/// Throws Error unless the value is finite, and above 0.
void check_positive(std::string_view op, std::string_view option, double value);

/// Throws Error unless the value is in [0, 1].
void check_share(std::string_view op, std::string_view option, double value);

/// Throws Error unless the value is in [0, 1).
void check_below_one(std::string_view op, std::string_view option, double value);

}  // namespace rapt::internal

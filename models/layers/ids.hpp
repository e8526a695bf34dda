// Checks of the token ids that models take.
#pragma once

#include <string_view>

#include "framework/core/internal.hpp"
#include "framework/graph/var.hpp"

namespace rapt::internal {

/// Returns the ids as a Var. Throws Error of `op` unless they are int32 [rows, T]. `what` names
/// them: "source".
Var checked_ids(std::string_view op, std::string_view what, const Arg& ids);

/// Throws Error of `op` unless the ids of `target` have one row for each row of `source`.
void check_same_rows(std::string_view op, const Arg& source, const Arg& target);

}  // namespace rapt::internal

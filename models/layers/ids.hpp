// Checks of the token ids that models take.
#pragma once

#include <string_view>

#include "framework/core/internal.hpp"
#include "framework/graph/var.hpp"

namespace rapt::internal {

/// Returns the ids as a Var, with their line. Throws Error of `op` unless they are int32 [rows, T].
/// `what` names them: "source".
Arg checked_ids(std::string_view op, std::string_view what, const Arg& ids);

/// Source and target of a translation, [B, S] and [B, T].
struct SentencePairs {
  Arg source, target;
};

/// Returns the ids as Vars, with their lines. Throws Error of `op` unless both are int32 with the
/// same number of rows.
SentencePairs checked_pairs(std::string_view op, const Arg& source, const Arg& target_in);

}  // namespace rapt::internal

// Putting saved arrays back.
#pragma once

#include <rapt/framework/tensor.hpp>
#include <string>
#include <utility>
#include <vector>

namespace rapt {

/// Copies saved arrays into those of the same names in `own`; other names are passed over. Throws
/// Error where one is missing, or has another shape or type; then nothing has been copied. `what`
/// begins the messages.
void restore(const std::vector<std::pair<std::string, Tensor>>& own,
             const std::vector<std::pair<std::string, Tensor>>& saved, const std::string& what);

}  // namespace rapt

// The description of a fused operator, which computes several nodes at once.
#pragma once

#include <span>
#include <vector>

#include "framework/core/internal.hpp"
#include "framework/graph/op.hpp"

namespace rapt::internal {

/// A group of elementwise nodes of one shape that becomes one pointwise program.
struct FusedGroup {
  struct Member {
    const Op* op;
    std::span<const int64_t> words;
    std::vector<int> inputs;  // i >= 0: members[i]; below 0: operands[-1 - i]
    DType dtype;
  };
  std::vector<Member> members;
  std::vector<TensorView> operands;  // without data
  std::vector<TensorView> outputs;   // without data
  std::vector<int> output_members;   // the member that computes each of the outputs
  bool wide = false;                 // true: computed in double precision
};

}  // namespace rapt::internal

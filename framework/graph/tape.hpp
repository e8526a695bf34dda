// The tape: while it lives, what a user's code computes is recorded.
#pragma once

#include <cstddef>

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"
#include "framework/graph/training.hpp"

namespace rapt RAPT_API {

/// While it lives, operators of this thread are recorded on it. Recording checks shapes and does no
/// arithmetic; values are computed when somebody asks for them. It may end in another thread.
class Tape {
 public:
  /// For evaluation: dropout passes its input through.
  Tape();
  explicit Tape(const Training& training);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Graph& graph() const { return *graph_; }
  /// The number of nodes so far.
  size_t size() const;

 private:
  Graph* graph_;
};

}  // namespace rapt

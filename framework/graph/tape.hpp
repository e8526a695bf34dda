// The tape: it records the user's computation while it lives.
#pragma once

#include <cstddef>

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"
#include "framework/graph/training.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Records the operators that this thread calls during its lifetime. Recording checks shapes and
/// does no arithmetic. Values are computed when they are requested. A tape may be destroyed in
/// another thread.
class Tape {
 public:
  /// Begins a tape for evaluation: dropout passes its input through.
  Tape();
  /// Begins a tape for training: dropout is active.
  explicit Tape(const Training& training);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  internal::Graph& graph() const { return *graph_; }
  /// Returns the number of nodes so far.
  size_t size() const;

 private:
  internal::Graph* graph_;
};

}  // namespace v0
}  // namespace rapt

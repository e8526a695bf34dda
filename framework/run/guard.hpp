// The executor's check for NaN and infinity.
#pragma once

#include <mutex>
#include <vector>

#include "framework/core/internal.hpp"
#include "framework/graph/graph.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {

/// Checks the results of one run's steps. NaN never passes. Minus infinity passes if the operator
/// makes it on purpose (a mask), or if an input of the step already holds it and thus has passed
/// before. Plus infinity passes only from such an operator. Safe to use from several threads.
class Guard {
 public:
  /// Returns the first output of a step that must not pass, or -1. Called right after the step has
  /// run.
  int first_bad(const Plan::Step& step, const ForwardContext& context);

 private:
  /// The range of addresses of an array's elements.
  struct Place {
    const std::byte *begin, *end;

    explicit Place(const TensorView& view);
    bool meets(const Place& other) const { return begin < other.end && other.begin < end; }
  };

  bool reads_minus_infinity(const ForwardContext& context) const;
  void note(const Place& place, bool minus_infinity);
  bool noted(const Place& place) const;

  /// Results that hold -inf. If an input was overwritten in place, only this list tells that it
  /// held -inf.
  std::vector<Place> places_;
  mutable std::mutex mutex_;
};

}  // namespace rapt::internal

// What the executor's guard lets pass.
#pragma once

#include <mutex>
#include <vector>

#include "framework/graph/graph.hpp"
#include "framework/plan/plan.hpp"

namespace rapt {

/// Looks at the results of one run's steps. NaN never passes. Minus infinity does from an operator
/// that makes it on purpose (a mask), and where an input of the step holds it already: somebody let
/// it pass before. Plus infinity passes from such an operator alone. Safe to use from several
/// threads.
class Guard {
 public:
  /// The first output of a step that has just run which must not pass, or -1.
  int first_bad(const Plan::Step& step, const ForwardContext& context);

 private:
  /// Where an array's elements lie.
  struct Place {
    const std::byte *begin, *end;

    explicit Place(const TensorView& view);
    bool meets(const Place& other) const { return begin < other.end && other.begin < end; }
  };

  bool reads_minus_infinity(const ForwardContext& context) const;
  void note(const Place& place, bool minus_infinity);
  bool noted(const Place& place) const;

  /// Results that hold -inf: of an input that was overwritten in place nothing else tells it.
  std::vector<Place> places_;
  mutable std::mutex mutex_;
};

}  // namespace rapt

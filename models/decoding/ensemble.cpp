#include "models/decoding/ensemble.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

class EnsembleSteps : public StepModel {
 public:
  EnsembleSteps(std::vector<std::unique_ptr<StepModel>> members, Average average,
                std::vector<double> weights)
      : members_(std::move(members)),
        average_(average),
        weights_(std::move(weights)),
        states_(members_.size(), 0) {
    if (members_.empty()) throw Error({.op = "ensemble", .detail = "there are no members"});
    for (size_t i = 0; i < members_.size(); ++i) {
      if (!members_[i]) {
        throw Error({.op = "ensemble", .detail = fmt::format("member {} is empty", i)});
      }
      if (members_[i]->sentences() == sentences()) continue;
      throw Error({.op = "ensemble",
                   .detail = fmt::format("member {} has {} sentences, member 0 has {}", i,
                                         members_[i]->sentences(), sentences())});
    }
    if (weights_.empty()) {
      weights_.assign(members_.size(), 1 / static_cast<double>(members_.size()));
    }
    double sum = 0;
    for (const double weight : weights_) sum += weight > 0 ? weight : infinity;
    if (weights_.size() != members_.size() || !(std::abs(sum - 1) < 1e-6)) {
      throw Error({.op = "ensemble",
                   .detail = fmt::format("expected {} positive weights that add up to 1, got [{}]",
                                         members_.size(), fmt::join(weights_, ", "))});
    }
  }

  int64_t sentences() const override { return members_[0]->sentences(); }
  int64_t source_length(int64_t i) const override {
    int64_t longest = 0;
    for (const auto& member : members_) longest = std::max(longest, member->source_length(i));
    return longest;
  }
  int64_t most_steps() const override {
    int64_t steps = members_[0]->most_steps();
    for (const auto& member : members_) steps = std::min(steps, member->most_steps());
    return steps;
  }

  StepOutput step(const StepInput& input) override {
    std::vector<Var> log_probabilities;  // [R, V] each
    StepOutput output;
    StepInput own = input;
    auto next = input.states.begin();
    for (size_t i = 0; i < members_.size(); ++i) {
      const auto end = next + std::min(states_[i], input.states.end() - next);
      own.states.assign(next, end);
      next = end;
      StepOutput given = members_[i]->step(own);
      if (i > 0 && given.scores.shape() != log_probabilities[0].shape()) {
        throw Error({.kind = ErrorKind::shape,
                     .op = "ensemble",
                     .detail = fmt::format("member {} gives scores {}, member 0 gives {}", i,
                                           to_string(given.scores.shape()),
                                           to_string(log_probabilities[0].shape()))});
      }
      log_probabilities.push_back(log_softmax(given.scores));
      states_[i] = static_cast<int64_t>(given.states.size());
      for (const Var& state : given.states) output.states.push_back(state);
    }
    if (average_ == Average::probabilities) {
      for (size_t i = 0; i < members_.size(); ++i) {
        log_probabilities[i] = log_probabilities[i] + std::log(weights_[i]);
      }
      output.scores = logsumexp(stack(log_probabilities, 0), {0});  // reduces [M, R, V]
    } else {
      output.scores = log_probabilities[0] * weights_[0];
      for (size_t i = 1; i < members_.size(); ++i) {
        output.scores = output.scores + log_probabilities[i] * weights_[i];
      }
    }
    return output;
  }

 private:
  std::vector<std::unique_ptr<StepModel>> members_;
  Average average_;
  std::vector<double> weights_;
  std::vector<int64_t> states_;  // number of states that each member returned at the last step
};

}  // namespace

std::unique_ptr<StepModel> ensemble(std::vector<std::unique_ptr<StepModel>> members,
                                    Average average, std::vector<double> weights) {
  return std::make_unique<EnsembleSteps>(std::move(members), average, std::move(weights));
}

}  // namespace v0
}  // namespace rapt

#include "models/decoding/sampling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/core/options.hpp"
#include "models/decoding/writing_rules.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/draw.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/rows/top_k.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// An open sample. `row` is its row in the previous step.
struct Live {
  int64_t number = 0;
  int32_t node = -1;  // node in the token tree
  int32_t row = 0;
  double log_probability = 0;
};

struct Sentence {
  int32_t number = 0;
  std::vector<Live> live;
};

class Sampler {
 public:
  Sampler(StepModel& model, const SamplingOptions& options)
      : options_(options), rules_("sample", options, model), stepper_(model) {
    check_positive("sample", "temperature", options.temperature);
    check_at_least("sample", "samples", options.samples, 1);
    check_at_least("sample", "top_k", options.top_k, 0);
    check_at_least("sample", "first_sentence", options.first_sentence, 0);
    if (!(options.top_p > 0 && options.top_p <= 1)) {
      rules_.fail(fmt::format("top_p is {}, expected a number in (0, 1]", options.top_p));
    }
    for (int64_t i = 0; i < model.sentences(); ++i) {
      Sentence s{static_cast<int32_t>(i), {}};
      Live first;
      if (rules_.begin() < 0) first.node = tree_.add(rules_.prefix(i)[0], -1);
      for (first.number = 0; first.number < options.samples; ++first.number) {
        s.live.push_back(first);
      }
      live_.push_back(s);
      result_.emplace_back(static_cast<size_t>(options.samples));
    }
    if (rules_.begin() < 0) written_ = 1;
  }

  std::vector<std::vector<Hypothesis>> run() {
    retire();
    while (!live_.empty()) {
      step();
      retire();
    }
    return std::move(result_);
  }

 private:
  /// Returns the same number of rows for each sentence. Sentences with fewer open samples repeat
  /// their first one. Fills in the random draw and the forced token (-1: none) of each row.
  StepInput rows(std::vector<double>& draws, std::vector<int32_t>& forced) const {
    StepInput input;
    size_t width = 1;
    for (const Sentence& s : live_) width = std::max(width, s.live.size());
    for (const Sentence& s : live_) {
      input.sentences.push_back(s.number);
      const auto sentence = static_cast<uint64_t>(options_.first_sentence + s.number);
      for (size_t j = 0; j < width; ++j) {
        const Live& one = s.live[j < s.live.size() ? j : 0];
        input.tokens.push_back(one.node < 0 ? rules_.begin() : tree_.token(one.node));
        if (!first_) input.parents.push_back(one.row);
        forced.push_back(rules_.forced(s.number, written_));
        draws.push_back(options_.key.fold(sentence)
                            .fold(static_cast<uint64_t>(one.number))
                            .uniform(static_cast<uint64_t>(written_)));
      }
    }
    return input;
  }

  /// Returns which tokens are allowed at this step, boolean [V].
  Tensor allowed(int64_t vocabulary) const {
    Tensor keep({vocabulary}, DType::boolean);
    bool* to = keep.data<bool>().data();
    for (int64_t v = 0; v < vocabulary; ++v) {
      to[v] = rules_.allows(static_cast<int32_t>(v), written_);
    }
    return keep;
  }

  void step() {
    std::vector<double> draws;
    std::vector<int32_t> forced;
    StepInput input = rows(draws, forced);
    const int64_t width = input.width();
    const std::vector<Tensor> values =
        stepper_.step(std::move(input), [&](const Var& scores) -> std::vector<Var> {
          const int64_t rows = scores.size(0), vocabulary = scores.size(1);
          Var kept = masked(scores, allowed(vocabulary));
          Var tokens;  // indices of the k likeliest tokens; empty without top_k
          if (options_.top_k > 0) {
            kept = top_k(kept, std::min(options_.top_k, vocabulary));
            tokens = kept.output(1);
          }
          const Var weights = softmax(kept / options_.temperature);
          Var chosen = unsqueeze(draw(weights, tensor(draws, {rows}), options_.top_p), 1);
          if (!tokens.is_empty()) chosen = gather(tokens, 1, chosen);
          const Var must = as_var(tensor(forced, {rows, 1}));
          chosen = where(ge(must, 0), must, chosen);  // [R, 1]
          return {chosen, gather(scores, 1, chosen) - logsumexp(scores, {1}, true)};
        });
    for (size_t i = 0; i < live_.size(); ++i) {
      Sentence& s = live_[i];
      std::vector<Live> next;
      for (size_t j = 0; j < s.live.size(); ++j) {
        Live one = s.live[j];
        const size_t row = i * static_cast<size_t>(width) + j;
        const int32_t token = values[0].data<int32_t>()[row];
        one.row = static_cast<int32_t>(row);
        one.log_probability += static_cast<double>(values[1].data<float>()[row]);
        if (rules_.has_end() && token == rules_.end()) {
          finish(s, one);
        } else {
          one.node = tree_.add(token, one.node);
          next.push_back(one);
        }
      }
      s.live = std::move(next);
    }
    first_ = false;
    ++written_;
  }

  void finish(const Sentence& s, const Live& one) {
    result_[static_cast<size_t>(s.number)][static_cast<size_t>(one.number)] = {
        tree_.path(one.node), one.log_probability, one.log_probability};
  }

  /// Drops sentences whose samples are all finished.
  void retire() {
    std::erase_if(live_, [&](const Sentence& s) {
      if (rules_.has_end() || written_ < rules_.most(s.number)) return s.live.empty();
      for (const Live& one : s.live) finish(s, one);
      return true;
    });
  }

  const SamplingOptions& options_;
  const WritingRules rules_;
  Stepper stepper_;
  TokenTree tree_;
  std::vector<Sentence> live_;
  std::vector<std::vector<Hypothesis>> result_;
  int64_t written_ = 0;  // tokens in every live sample
  bool first_ = true;
};

}  // namespace

std::vector<std::vector<Hypothesis>> sample(StepModel& model, const SamplingOptions& options) {
  return Sampler(model, options).run();
}

}  // namespace v0
}  // namespace rapt

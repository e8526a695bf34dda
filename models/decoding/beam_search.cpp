#include "models/decoding/beam_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/core/options.hpp"
#include "models/decoding/writing_rules.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/top_k.hpp"
#include "ops/shape/gather.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

constexpr double impossible = -std::numeric_limits<double>::infinity();

/// An open hypothesis. `row` is its row in the previous step.
struct Live {
  int32_t node = -1;  // node in the token tree
  int32_t row = 0;
  double log_probability = 0;
};

struct Candidate {
  size_t from;  // index among the live hypotheses of the sentence
  int32_t token;
  double log_probability;
};

struct Sentence {
  int32_t number = 0;
  std::vector<Live> live;
  std::vector<Hypothesis> done = {};
};

class Search {
 public:
  Search(StepModel& model, const BeamOptions& options)
      : options_(options), rules_("beam_search", options, model), stepper_(model) {
    check_at_least("beam_search", "beam", options.beam, 1);
    check_at_least("beam_search", "best", options.best, 1);
    check_not_negative("beam_search", "alpha", options.alpha);
    if (options.best > options.beam) {
      rules_.fail(fmt::format("expected 1 <= best <= beam, got best {} and beam {}", options.best,
                              options.beam));
    }
    for (int64_t i = 0; i < model.sentences(); ++i) {
      Live first;
      // Without a begin token, the first token of the prefix is the first input. It is given, so
      // it costs nothing.
      if (rules_.begin() < 0) first.node = tree_.add(rules_.prefix(i)[0], -1);
      live_.push_back({static_cast<int32_t>(i), {first}});
    }
    if (rules_.begin() < 0) written_ = 1;
    result_.resize(live_.size());
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
  /// Returns the rows of the live hypotheses. Every sentence gets the same number of rows.
  /// Sentences with fewer hypotheses repeat their first one.
  StepInput rows() const {
    StepInput input;
    size_t width = 1;
    for (const Sentence& s : live_) width = std::max(width, s.live.size());
    for (const Sentence& s : live_) {
      input.sentences.push_back(s.number);
      for (size_t j = 0; j < width; ++j) {
        const Live& hypothesis = s.live[j < s.live.size() ? j : 0];
        const int32_t node = hypothesis.node;
        input.tokens.push_back(node < 0 ? rules_.begin() : tree_.token(node));
        if (!first_) input.parents.push_back(hypothesis.row);
      }
    }
    return input;
  }

  /// The scores of one step.
  struct Scores {
    Tensor values, tokens;  // [R, K]: the likeliest of each row; empty if all tokens are forced
    Tensor forced;          // [R, 1]; empty if no token is forced
  };

  Scores scores_of(StepInput input) {
    std::vector<int32_t> forced;
    bool any_forced = false, any_free = false;
    for (const Sentence& s : live_) {
      const int32_t token = rules_.forced(s.number, written_);
      (token >= 0 ? any_forced : any_free) = true;
      forced.insert(forced.end(), static_cast<size_t>(input.width()), std::max(token, 0));
    }
    // Fetch extra candidates: some of the likeliest tokens may be disallowed, and one may be the
    // end token.
    const auto wanted = options_.beam + 1 + static_cast<int64_t>(rules_.never().size());
    const std::vector<Tensor> values =
        stepper_.step(std::move(input), [&](const Var& scores) -> std::vector<Var> {
          const Var total = options_.normalise ? logsumexp(scores, {1}, true)
                                               : as_var(zeros({scores.size(0), 1}));  // [R, 1]
          std::vector<Var> vars;
          if (any_free) {
            const Var top = top_k(scores, std::min(wanted, scores.size(1)));
            vars = {top - total, top.output(1)};
          }
          if (any_forced) {
            vars.push_back(gather(scores, 1, tensor(forced, {scores.size(0), 1})) - total);
          }
          return vars;
        });
    Scores scores;
    if (any_free) {
      scores.values = values[0];
      scores.tokens = values[1];
    }
    if (any_forced) scores.forced = values.back();
    return scores;
  }

  void step() {
    StepInput input = rows();
    const int64_t width = input.width();
    const Scores scores = scores_of(std::move(input));
    for (size_t i = 0; i < live_.size(); ++i) {
      Sentence& s = live_[i];
      const int64_t first_row = static_cast<int64_t>(i) * width;
      std::vector<Candidate> candidates;
      const int32_t forced = rules_.forced(s.number, written_);
      for (size_t j = 0; j < s.live.size(); ++j) {
        const int64_t row = first_row + static_cast<int64_t>(j);
        if (forced >= 0) {
          add(candidates, s, j, forced, scores.forced, row);
          continue;
        }
        const int64_t count = scores.tokens.shape()[1];
        const int32_t* tokens = scores.tokens.data<int32_t>().data();
        for (int64_t k = row * count; k < (row + 1) * count; ++k) {
          if (rules_.allows(tokens[k], written_)) {
            add(candidates, s, j, tokens[k], scores.values, k);
          }
        }
      }
      select(s, candidates, static_cast<int32_t>(first_row));
    }
    first_ = false;
    ++written_;
  }

  void add(std::vector<Candidate>& candidates, const Sentence& s, size_t from, int32_t token,
           const Tensor& values, int64_t at) const {
    const double more = values.data<float>()[static_cast<size_t>(at)];
    if (std::isnan(more)) {
      rules_.fail(fmt::format(
          "the model's scores for sentence {} hold a NaN, or nothing but infinities", s.number));
    }
    if (more != impossible) {
      candidates.push_back({from, token, s.live[from].log_probability + more});
    }
  }

  /// Makes the best candidates the live hypotheses of the sentence. `first_row` is the first row of
  /// the sentence.
  void select(Sentence& s, const std::vector<Candidate>& candidates, int32_t first_row) {
    const auto beam = static_cast<size_t>(options_.beam);
    // Each row has one end token, so the likeliest 2 `beam` are enough. There are about `beam`^2
    // candidates: only those are sorted. Ties keep the order of rows and tokens.
    std::vector<size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto likelier = [&](size_t a, size_t b) {
      const double p = candidates[a].log_probability, q = candidates[b].log_probability;
      return p != q ? p > q : a < b;
    };
    const auto enough = order.begin() + std::min(std::ssize(order), 2 * std::ptrdiff_t(beam));
    if (enough != order.end()) std::nth_element(order.begin(), enough, order.end(), likelier);
    order.erase(enough, order.end());
    std::sort(order.begin(), order.end(), likelier);
    std::vector<Live> next;
    for (size_t rank = 0; rank < order.size() && next.size() < beam; ++rank) {
      const Candidate& c = candidates[order[rank]];
      const int32_t node = s.live[c.from].node;
      if (rules_.has_end() && c.token == rules_.end()) {
        if (rank < beam) finish(s, node, c.log_probability, written_ + 1);
        continue;
      }
      next.push_back(
          {tree_.add(c.token, node), first_row + static_cast<int32_t>(c.from), c.log_probability});
    }
    s.live = std::move(next);
  }

  double normalised(double log_probability, int64_t length) const {
    const auto L = static_cast<double>(std::max<int64_t>(length, 1));
    switch (options_.norm) {
      case LengthNorm::power:
        return log_probability / std::pow(L, options_.alpha);
      case LengthNorm::gnmt:
        return log_probability / std::pow((5 + L) / 6, options_.alpha);
      default:
        return log_probability;
    }
  }

  void finish(Sentence& s, int32_t node, double log_probability, int64_t length) const {
    s.done.push_back({tree_.path(node), log_probability, normalised(log_probability, length)});
  }

  bool is_done(Sentence& s) const {
    const int64_t most = rules_.most(s.number);
    if (!rules_.has_end() && written_ >= most) {
      for (const Live& h : s.live) finish(s, h.node, h.log_probability, written_);
      return true;
    }
    if (s.live.empty()) return true;
    const bool greedy = options_.beam == 1 && options_.stop == Stop::likely;
    if (options_.stop == Stop::enough || greedy) {
      return static_cast<int64_t>(s.done.size()) >= options_.beam;
    }
    if (static_cast<int64_t>(s.done.size()) < options_.best) return false;
    std::vector<double> scores;
    for (const Hypothesis& h : s.done) scores.push_back(h.score);
    const auto last = scores.begin() + (options_.best - 1);
    std::nth_element(scores.begin(), last, scores.end(), std::greater<>());
    const double likeliest = s.live.front().log_probability;
    const double now = normalised(likeliest, written_ + 1);
    if (options_.stop == Stop::likely) return *last >= now;
    // Further tokens can only lower a log-probability. The normalised score of a fixed
    // log-probability is monotonic in the length. So the better of the two ends of the range is an
    // upper bound.
    return *last >= std::max(now, normalised(likeliest, most + 1));
  }

  /// Moves finished sentences to the result.
  void retire() {
    std::erase_if(live_, [&](Sentence& s) {
      if (!is_done(s)) return false;
      std::stable_sort(s.done.begin(), s.done.end(),
                       [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
      if (static_cast<int64_t>(s.done.size()) > options_.best) {
        s.done.resize(static_cast<size_t>(options_.best));
      }
      result_[static_cast<size_t>(s.number)] = std::move(s.done);
      return true;
    });
  }

  const BeamOptions& options_;
  const WritingRules rules_;
  Stepper stepper_;
  TokenTree tree_;
  std::vector<Sentence> live_;
  std::vector<std::vector<Hypothesis>> result_;
  int64_t written_ = 0;  // tokens in every live hypothesis
  bool first_ = true;
};

}  // namespace

std::vector<std::vector<Hypothesis>> beam_search(StepModel& model, const BeamOptions& options) {
  return Search(model, options).run();
}

}  // namespace v0
}  // namespace rapt

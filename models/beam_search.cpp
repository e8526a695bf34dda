#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <rapt/framework/error.hpp>
#include <rapt/models/beam_search.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/gather.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/top_k.hpp>

namespace rapt {
namespace {

constexpr double impossible = -std::numeric_limits<double>::infinity();

double normalised(const BeamOptions& o, double log_probability, int64_t length) {
  const auto L = static_cast<double>(std::max<int64_t>(length, 1));
  switch (o.norm) {
    case LengthNorm::power:
      return log_probability / std::pow(L, o.alpha);
    case LengthNorm::gnmt:
      return log_probability / std::pow((5 + L) / 6, o.alpha);
    default:
      return log_probability;
  }
}

/// All sentences' tokens as one tree: hypotheses share their beginnings.
struct Token {
  int32_t token;
  int32_t before;  // -1: the first
};

/// A hypothesis that goes on. `row` is the one that its last step had.
struct Live {
  int32_t node = -1;
  int32_t row = 0;
  double log_probability = 0;
};

struct Candidate {
  int32_t from;  // the sentence's live hypothesis
  int32_t token;
  double log_probability;
};

struct Sentence {
  int32_t number = 0;
  int64_t most = 0;  // tokens, without the end mark
  std::vector<Live> live;
  std::vector<Hypothesis> done = {};
};

class Search {
 public:
  Search(StepModel& model, const BeamOptions& options)
      : options_(options), stepper_(model), never_(options.never) {
    check(model);
    never_.push_back(options.pad);
    if (options.begin >= 0) never_.push_back(options.begin);
    for (int64_t i = 0; i < model.sentences(); ++i) {
      const auto asked =
          static_cast<int64_t>(options.length_factor * static_cast<double>(model.source_length(i)));
      int64_t most = std::min(asked + options.length_extra, options.max_length);
      most = std::max({most, options.min_length, static_cast<int64_t>(prefix(i).size())});
      const int64_t room = model.most_steps() - (has_end() ? 1 : 0);
      if (static_cast<int64_t>(prefix(i).size()) > room) {
        throw Error(
            fmt::format("beam_search: the prefix of sentence {} has {} tokens, the model "
                        "has room for {}",
                        i, prefix(i).size(), room));
      }
      live_.push_back({static_cast<int32_t>(i), std::min(most, room), {Live{}}});
    }
    result_.resize(live_.size());
  }

  std::vector<std::vector<Hypothesis>> run() {
    if (options_.begin < 0) begin_with_prefixes();
    retire();
    while (!live_.empty()) {
      step();
      retire();
    }
    return std::move(result_);
  }

 private:
  bool has_end() const { return options_.end >= 0; }

  const std::vector<int32_t>& prefix(int64_t sentence) const {
    static const std::vector<int32_t> none;
    return options_.prefixes.empty() ? none : options_.prefixes[static_cast<size_t>(sentence)];
  }

  void check(const StepModel& model) const {
    const BeamOptions& o = options_;
    const auto fail = [](const std::string& message) { throw Error("beam_search: " + message); };
    if (o.beam < 1 || o.best < 1 || o.best > o.beam) {
      fail(fmt::format("expected 1 <= best <= beam, got best {} and beam {}", o.best, o.beam));
    }
    if (!(o.alpha >= 0)) fail(fmt::format("alpha has to be at least 0, it is {}", o.alpha));
    if (!(o.length_factor >= 0) || o.length_extra < 0 || o.max_length < 0 || o.min_length < 0) {
      fail("a limit of the length is below 0");
    }
    if (o.min_length > o.max_length) {
      fail(fmt::format("min_length {} is above max_length {}", o.min_length, o.max_length));
    }
    const auto sentences = static_cast<size_t>(model.sentences());
    if (!o.prefixes.empty() && o.prefixes.size() != sentences) {
      fail(fmt::format("{} prefixes for {} sentences", o.prefixes.size(), sentences));
    }
    for (const auto& tokens : o.prefixes) {
      if (o.begin < 0 && tokens.empty()) fail("without a begin mark every prefix needs a token");
      if (has_end() && std::find(tokens.begin(), tokens.end(), o.end) != tokens.end()) {
        fail("a prefix holds the end mark");
      }
    }
    if (o.begin < 0 && o.prefixes.empty() && sentences > 0) {
      fail("without a begin mark there have to be prefixes");
    }
  }

  /// The first token of each prefix is given, not written: it costs nothing.
  void begin_with_prefixes() {
    for (Sentence& s : live_) {
      nodes_.push_back({prefix(s.number)[0], -1});
      s.live[0].node = static_cast<int32_t>(nodes_.size()) - 1;
    }
    written_ = 1;
  }

  /// The token that a sentence has to write now, or -1.
  int32_t forced(const Sentence& s) const {
    const auto& tokens = prefix(s.number);
    const auto at = static_cast<size_t>(written_);
    if (at < tokens.size()) return tokens[at];
    return written_ >= s.most && has_end() ? options_.end : -1;
  }

  /// Rows of the live hypotheses, the same number for each sentence: those that have fewer repeat
  /// their first.
  StepInput rows() {
    StepInput input;
    size_t width = 1;
    for (const Sentence& s : live_) width = std::max(width, s.live.size());
    for (Sentence& s : live_) {
      input.sentences.push_back(s.number);
      for (size_t j = 0; j < width; ++j) {
        const Live& hypothesis = s.live[j < s.live.size() ? j : 0];
        const int32_t node = hypothesis.node;
        input.tokens.push_back(node < 0 ? options_.begin : nodes_[static_cast<size_t>(node)].token);
        if (!first_) input.parents.push_back(hypothesis.row);
      }
    }
    return input;
  }

  void step() {
    StepInput input = rows();
    const int64_t width = input.width();
    std::vector<int32_t> forced_tokens;
    bool any_forced = false, any_free = false;
    for (const Sentence& s : live_) {
      const int32_t token = forced(s);
      (token >= 0 ? any_forced : any_free) = true;
      forced_tokens.insert(forced_tokens.end(), static_cast<size_t>(width), std::max(token, 0));
    }
    // Of a row's likeliest, some may not be written, and one may be the end.
    const auto wanted = options_.beam + 1 + static_cast<int64_t>(never_.size());
    const std::vector<Tensor> chosen =
        stepper_.step(std::move(input), [&](const Var& scores) -> std::vector<Var> {
          const Var total = logsumexp(scores, {1}, true);  // [R, 1]
          std::vector<Var> vars;
          if (any_free) {
            const Var top = top_k(scores, std::min(wanted, scores.size(1)));
            vars = {top - total, top.output(1)};
          }
          if (any_forced) {
            const Tensor tokens = tensor(forced_tokens, {scores.size(0), 1});
            vars.push_back(gather(scores, 1, tokens) - total);
          }
          return vars;
        });
    for (size_t i = 0; i < live_.size(); ++i) {
      const auto first = static_cast<int64_t>(i) * width;
      std::vector<Candidate> candidates;
      const int32_t token = forced(live_[i]);
      for (size_t j = 0; j < live_[i].live.size(); ++j) {
        const int64_t row = first + static_cast<int64_t>(j);
        if (token >= 0) {
          add(candidates, live_[i], j, token, at(chosen.back(), row));
          continue;
        }
        const int64_t count = chosen[0].shape()[1];
        const int32_t* tokens = chosen[1].data<int32_t>().data() + row * count;
        for (int64_t k = 0; k < count; ++k) {
          if (may_write(tokens[k])) {
            add(candidates, live_[i], j, tokens[k], at(chosen[0], row * count + k));
          }
        }
      }
      select(live_[i], std::move(candidates), first);
    }
    first_ = false;
    ++written_;
  }

  static double at(const Tensor& values, int64_t i) {
    return static_cast<double>(values.data<float>()[static_cast<size_t>(i)]);
  }

  bool may_write(int32_t token) const {
    if (token == options_.end && has_end()) return written_ >= options_.min_length;
    return std::find(never_.begin(), never_.end(), token) == never_.end();
  }

  static void add(std::vector<Candidate>& candidates, const Sentence& s, size_t from, int32_t token,
                  double log_probability) {
    if (std::isnan(log_probability)) {
      throw Error(
          fmt::format("beam_search: the model's scores for sentence {} hold a NaN or only "
                      "infinities",
                      s.number));
    }
    if (log_probability == impossible) return;
    candidates.push_back(
        {static_cast<int32_t>(from), token, s.live[from].log_probability + log_probability});
  }

  /// The best candidates become the sentence's hypotheses. `first` is the row of its first.
  void select(Sentence& s, std::vector<Candidate> candidates, int64_t first) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return a.log_probability > b.log_probability;
                     });
    const auto beam = static_cast<size_t>(options_.beam);
    std::vector<Live> next;
    for (size_t rank = 0; rank < candidates.size() && next.size() < beam; ++rank) {
      const Candidate& c = candidates[rank];
      const Live& from = s.live[static_cast<size_t>(c.from)];
      if (c.token == options_.end && has_end()) {
        if (rank < beam) finish(s, from.node, c.log_probability, written_ + 1);
        continue;
      }
      nodes_.push_back({c.token, from.node});
      next.push_back({static_cast<int32_t>(nodes_.size()) - 1, static_cast<int32_t>(first) + c.from,
                      c.log_probability});
    }
    s.live = std::move(next);
  }

  void finish(Sentence& s, int32_t node, double log_probability, int64_t length) const {
    Hypothesis h{{}, log_probability, normalised(options_, log_probability, length)};
    for (; node >= 0; node = nodes_[static_cast<size_t>(node)].before) {
      h.tokens.push_back(nodes_[static_cast<size_t>(node)].token);
    }
    std::reverse(h.tokens.begin(), h.tokens.end());
    s.done.push_back(std::move(h));
  }

  bool is_done(Sentence& s) {
    if (!has_end() && written_ >= s.most) {
      for (const Live& h : s.live) finish(s, h.node, h.log_probability, written_);
      return true;
    }
    if (s.live.empty()) return true;
    if (options_.stop == Stop::enough) {
      return static_cast<int64_t>(s.done.size()) >= options_.beam;
    }
    if (static_cast<int64_t>(s.done.size()) < options_.best) return false;
    std::vector<double> scores;
    for (const Hypothesis& h : s.done) scores.push_back(h.score);
    const auto last = scores.begin() + (options_.best - 1);
    std::nth_element(scores.begin(), last, scores.end(), std::greater<>());
    // More tokens can only lower a log-probability; the norm changes in one direction.
    const double likeliest = s.live.front().log_probability;
    return *last >= std::max(normalised(options_, likeliest, written_ + 1),
                             normalised(options_, likeliest, s.most + 1));
  }

  /// Lets sentences go that are done.
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
  Stepper stepper_;
  std::vector<int32_t> never_;
  std::vector<Token> nodes_;
  std::vector<Sentence> live_;
  std::vector<std::vector<Hypothesis>> result_;
  int64_t written_ = 0;  // tokens of every live hypothesis
  bool first_ = true;
};

}  // namespace

std::vector<std::vector<Hypothesis>> beam_search(StepModel& model, const BeamOptions& options) {
  return Search(model, options).run();
}

}  // namespace rapt

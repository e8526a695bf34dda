#include "models/decoding/ctc_decoding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/core/parallel.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

constexpr double nothing = -std::numeric_limits<double>::infinity();

double log_add(double a, double b) {
  const double top = std::max(a, b);
  return top == nothing ? nothing : top + std::log1p(std::exp(std::min(a, b) - top));
}

std::string text_of(const Tensor& x) {
  return x ? fmt::format("{} {}", name(x.dtype()), to_string(x.shape())) : "an empty tensor";
}

/// Checked log-probabilities [B, T, V] with their lengths.
struct Emissions {
  const float* data;
  const int32_t* lengths;
  int64_t batch, times, classes;

  Emissions(const char* who, const Tensor& log_probabilities, const Tensor& ends, int32_t blank) {
    const Shape shape = log_probabilities ? log_probabilities.shape() : Shape{};
    if (shape.rank() != 3 || log_probabilities.dtype() != DType::float32 || !ends ||
        ends.shape() != Shape{shape[0]} || ends.dtype() != DType::int32) {
      const bool types = log_probabilities && log_probabilities.dtype() == DType::float32 && ends &&
                         ends.dtype() == DType::int32;
      throw Error({.kind = types ? ErrorKind::shape : ErrorKind::type,
                   .op = who,
                   .detail = fmt::format("expected log-probabilities float32 [B, T, V] and lengths "
                                         "int32 [B], got {} and {}",
                                         text_of(log_probabilities), text_of(ends))});
    }
    data = log_probabilities.data<float>().data();
    lengths = ends.data<int32_t>().data();
    batch = shape[0];
    times = shape[1];
    classes = shape[2];
    if (blank < 0 || blank >= classes) {
      throw Error(
          {.op = who,
           .detail = fmt::format("the blank {} is none of the {} classes", blank, classes)});
    }
    for (int64_t b = 0; b < batch; ++b) {
      if (lengths[b] < 0 || lengths[b] > times) {
        throw Error({.op = who,
                     .detail = fmt::format("length {} of utterance {} is none of 0 .. {}",
                                           lengths[b], b, times)});
      }
      const float* p = at(b, 0);
      if (std::any_of(p, p + lengths[b] * classes, [](float x) { return std::isnan(x); })) {
        throw Error({.op = who,
                     .detail = fmt::format("the log-probabilities of utterance {} hold a NaN", b)});
      }
    }
  }

  const float* at(int64_t b, int64_t t) const { return data + (b * times + t) * classes; }
};

CtcPath best_path(const Emissions& e, int64_t b, int32_t blank) {
  CtcPath path;
  int32_t before = blank;
  for (int32_t t = 0; t < e.lengths[b]; ++t) {
    const float* p = e.at(b, t);
    const auto label = static_cast<int32_t>(std::max_element(p, p + e.classes) - p);
    if (label != blank && label != before) {
      path.tokens.push_back(label);
      path.times.push_back(t);
    }
    before = label;
  }
  return path;
}

/// Log-probabilities of the paths that produce a prefix. `blank` covers those that end in a blank,
/// `label` those that end in its last label.
struct Paths {
  double blank = nothing, label = nothing;
  double all() const { return log_add(blank, label); }
};

std::vector<Hypothesis> search(const Emissions& e, int64_t b, const CtcBeamOptions& o) {
  using Prefix = std::vector<int32_t>;
  std::vector<std::pair<Prefix, Paths>> beam{{{}, {.blank = 0}}};
  for (int64_t t = 0; t < e.lengths[b]; ++t) {
    const float* p = e.at(b, t);
    std::map<Prefix, Paths> next;
    for (const auto& [prefix, paths] : beam) {
      Paths& same = next[prefix];
      const double all = paths.all();
      same.blank = log_add(same.blank, all + p[o.blank]);
      if (!prefix.empty()) same.label = log_add(same.label, paths.label + p[prefix.back()]);
      Prefix longer = prefix;
      longer.push_back(0);
      for (int32_t v = 0; v < e.classes; ++v) {
        if (v == o.blank) continue;
        const bool repeat = !prefix.empty() && prefix.back() == v;
        const double from = repeat ? paths.blank : all;
        if (from + p[v] == nothing) continue;
        longer.back() = v;
        Paths& more = next[longer];
        more.label = log_add(more.label, from + p[v]);
      }
    }
    beam.assign(next.begin(), next.end());
    const auto likelier = [](const auto& x, const auto& y) {
      return x.second.all() > y.second.all();
    };
    std::stable_sort(beam.begin(), beam.end(), likelier);
    if (static_cast<int64_t>(beam.size()) > o.beam) beam.resize(static_cast<size_t>(o.beam));
  }
  std::vector<Hypothesis> found;
  for (auto& [prefix, paths] : beam) {
    if (static_cast<int64_t>(found.size()) == o.best) break;
    const double log_probability = paths.all();
    if (log_probability == nothing) continue;
    found.push_back({std::move(prefix), log_probability, log_probability});
  }
  return found;
}

// ---- prefix scores ------------------------------------------------------------------------------

/// The forward sums of a prefix g. Entry t is the log-probability that the labels of the first t
/// frames are exactly g. `blank` covers paths that end in a blank, `label` those that end in a
/// label.
struct Progress {
  std::vector<double> blank, label;  // [T + 1]
  int32_t last = -1;                 // last label of g; -1 if g is empty
};

class CtcPrefixSteps : public StepModel {
 public:
  CtcPrefixSteps(const Tensor& log_probabilities, const Tensor& lengths,
                 const CtcPrefixOptions& options)
      : kept_{log_probabilities, lengths},
        emissions_("ctc_prefix_model", log_probabilities, lengths, options.blank),
        options_(options) {
    if (options.end < 0 || options.end >= emissions_.classes || options.end == options.blank) {
      throw Error({.op = "ctc_prefix_model",
                   .detail = fmt::format("expected an end mark among the {} classes that is "
                                         "not the blank {}, got {}",
                                         emissions_.classes, options.blank, options.end)});
    }
  }

  int64_t sentences() const override { return emissions_.batch; }
  int64_t source_length(int64_t i) const override { return emissions_.lengths[i]; }

  StepOutput step(const StepInput& input) override {
    const int64_t rows = input.rows(), width = input.width();
    std::vector<Progress> next(static_cast<size_t>(rows));
    Tensor scores({rows, emissions_.classes});
    float* to = scores.data<float>().data();
    parallel_for(rows, [&](int64_t r) {
      const int64_t b = input.sentences[static_cast<size_t>(r / width)];
      const auto row = static_cast<size_t>(r);
      next[row] = input.parents.empty() ? start(b)
                                        : extend(b, rows_[static_cast<size_t>(input.parents[row])],
                                                 input.tokens[row]);
      score(b, next[row], to + r * emissions_.classes);
    });
    rows_ = std::move(next);
    return {as_var(scores)};
  }

 private:
  Progress start(int64_t b) const {
    const auto T = static_cast<size_t>(emissions_.lengths[b]);
    Progress g{std::vector<double>(T + 1, 0), std::vector<double>(T + 1, nothing)};
    for (size_t t = 0; t < T; ++t) {
      g.blank[t + 1] = g.blank[t] + emissions_.at(b, static_cast<int64_t>(t))[options_.blank];
    }
    return g;
  }

  /// Returns the log-probability that the first t frames give exactly g and that frame t may start
  /// the label v. If v repeats the last label, a blank must separate the two.
  static double open_to(const Progress& g, int32_t v, size_t t) {
    return v == g.last ? g.blank[t] : log_add(g.blank[t], g.label[t]);
  }

  Progress extend(int64_t b, const Progress& g, int32_t v) const {
    const size_t T = g.blank.size() - 1;
    Progress h{std::vector<double>(T + 1, nothing), std::vector<double>(T + 1, nothing), v};
    for (size_t t = 0; t < T; ++t) {
      const float* p = emissions_.at(b, static_cast<int64_t>(t));
      h.label[t + 1] = log_add(h.label[t], open_to(g, v, t)) + p[v];
      h.blank[t + 1] = log_add(h.label[t], h.blank[t]) + p[options_.blank];
    }
    return h;
  }

  /// Writes the log-probability of each next token, and of the end, given g. The sums are computed
  /// jointly with g, relative to their largest term, and normalised at the end.
  void score(int64_t b, const Progress& g, float* to) const {
    const size_t T = g.blank.size() - 1;
    const auto V = static_cast<size_t>(emissions_.classes);
    const double ended = log_add(g.blank[T], g.label[T]);
    double top = ended;
    std::vector<double> any(T);  // open_to() for every token but the last one of g
    for (size_t t = 0; t < T; ++t) {
      any[t] = log_add(g.blank[t], g.label[t]);
      top = std::max(top, any[t]);
    }
    std::vector<double> total(V, 0);  // scaled by exp(-top)
    if (top > nothing) {
      for (size_t t = 0; t < T; ++t) {
        const float* p = emissions_.at(b, static_cast<int64_t>(t));
        for (size_t v = 0; v < V; ++v) {
          const bool repeat = static_cast<int32_t>(v) == g.last;
          total[v] += std::exp((repeat ? g.blank[t] : any[t]) - top + p[v]);
        }
      }
      total[static_cast<size_t>(options_.end)] = std::exp(ended - top);
    }
    total[static_cast<size_t>(options_.blank)] = 0;
    double sum = 0;
    for (const double share : total) sum += share;
    // If no continuation is possible (a repeat that has no frame left), only the end remains.
    if (sum == 0) total[static_cast<size_t>(options_.end)] = sum = 1;
    for (size_t v = 0; v < V; ++v) to[v] = static_cast<float>(std::log(total[v] / sum));
  }

  const Tensor kept_[2];  // owns the memory that emissions_ points into
  const Emissions emissions_;
  const CtcPrefixOptions options_;
  std::vector<Progress> rows_;
};

}  // namespace

std::vector<CtcPath> ctc_greedy(const Tensor& log_probabilities, const Tensor& lengths,
                                int32_t blank) {
  const Emissions e("ctc_greedy", log_probabilities, lengths, blank);
  std::vector<CtcPath> paths;
  for (int64_t b = 0; b < e.batch; ++b) paths.push_back(best_path(e, b, blank));
  return paths;
}

std::vector<std::vector<Hypothesis>> ctc_beam_search(const Tensor& log_probabilities,
                                                     const Tensor& lengths,
                                                     const CtcBeamOptions& options) {
  const Emissions e("ctc_beam_search", log_probabilities, lengths, options.blank);
  check_at_least("ctc_beam_search", "beam", options.beam, 1);
  check_at_least("ctc_beam_search", "best", options.best, 1);
  if (options.best > options.beam) {
    throw Error({.op = "ctc_beam_search",
                 .detail = fmt::format("expected 1 <= best <= beam, got best {} and beam {}",
                                       options.best, options.beam)});
  }
  std::vector<std::vector<Hypothesis>> found(static_cast<size_t>(e.batch));
  parallel_for(e.batch, [&](int64_t b) { found[static_cast<size_t>(b)] = search(e, b, options); });
  return found;
}

std::unique_ptr<StepModel> ctc_prefix_model(const Tensor& log_probabilities, const Tensor& lengths,
                                            const CtcPrefixOptions& options) {
  return std::make_unique<CtcPrefixSteps>(log_probabilities, lengths, options);
}

}  // namespace v0
}  // namespace rapt

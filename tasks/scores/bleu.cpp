#include "tasks/scores/bleu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

namespace rapt::tasks {
namespace {

constexpr std::size_t max_order = 4;

// Token numbers, with 0 after the end of a shorter n-gram.
using Ngram = std::array<std::int64_t, max_order>;
using Counts = std::map<Ngram, std::int64_t>;

Counts ngrams(const std::vector<std::int64_t>& sentence, std::size_t order) {
  Counts counts;
  for (std::size_t i = 0; i + order <= sentence.size(); ++i) {
    Ngram ngram{};
    std::copy_n(sentence.begin() + static_cast<std::ptrdiff_t>(i), order, ngram.begin());
    ++counts[ngram];
  }
  return counts;
}

}  // namespace

double Bleu::ratio() const {
  if (reference_length == 0) return 0;
  return static_cast<double>(hypothesis_length) / static_cast<double>(reference_length);
}

std::string Bleu::line() const {
  return fmt::format(
      "BLEU = {:.2f} ({:.1f}/{:.1f}/{:.1f}/{:.1f}, BP = {:.3f}, ratio = {:.3f}, hypothesis {}, "
      "reference {})",
      score, precisions[0], precisions[1], precisions[2], precisions[3], brevity_penalty, ratio(),
      hypothesis_length, reference_length);
}

Bleu corpus_bleu(std::span<const std::vector<std::string>> hypotheses,
                 std::span<const std::vector<std::string>> references) {
  const std::vector<std::vector<std::string>> one[] = {{references.begin(), references.end()}};
  return corpus_bleu(hypotheses, one, BleuSmoothing::none);
}

Bleu corpus_bleu(std::span<const std::vector<std::string>> hypotheses,
                 std::span<const std::vector<std::vector<std::string>>> references,
                 BleuSmoothing smoothing) {
  if (references.empty()) throw std::invalid_argument("corpus_bleu: no references");
  for (const auto& set : references) {
    if (hypotheses.size() != set.size()) {
      throw std::invalid_argument(fmt::format("corpus_bleu: {} hypotheses, but {} references",
                                              hypotheses.size(), set.size()));
    }
  }
  std::unordered_map<std::string_view, std::int64_t> numbers;
  const auto numbered = [&](const std::vector<std::string>& sentence) {
    std::vector<std::int64_t> out;
    for (const std::string& token : sentence) {
      out.push_back(
          numbers.try_emplace(token, static_cast<std::int64_t>(numbers.size()) + 1).first->second);
    }
    return out;
  };

  std::array<std::int64_t, max_order> matched{}, total{};
  Bleu bleu{};
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const auto hypothesis = numbered(hypotheses[i]);
    const auto length = static_cast<std::int64_t>(hypothesis.size());
    std::array<Counts, max_order> wanted;  // largest count in any reference
    std::int64_t nearest = -1;
    for (const auto& set : references) {
      const auto reference = numbered(set[i]);
      const auto own = static_cast<std::int64_t>(reference.size());
      const std::int64_t distance = std::abs(own - length), best = std::abs(nearest - length);
      if (nearest < 0 || distance < best || (distance == best && own < nearest)) nearest = own;
      for (std::size_t n = 0; n < max_order; ++n) {
        for (const auto& [ngram, count] : ngrams(reference, n + 1)) {
          std::int64_t& most = wanted[n][ngram];
          most = std::max(most, count);
        }
      }
    }
    bleu.hypothesis_length += length;
    bleu.reference_length += nearest;
    for (std::size_t n = 0; n < max_order; ++n) {
      for (const auto& [ngram, count] : ngrams(hypothesis, n + 1)) {
        total[n] += count;
        // An n-gram counts at most as often as in the reference.
        if (const auto found = wanted[n].find(ngram); found != wanted[n].end()) {
          matched[n] += std::min(count, found->second);
        }
      }
    }
  }

  // score = BP * exp(mean of log precisions), BP = min(1, exp(1 - reference / hypothesis))
  if (bleu.hypothesis_length > 0) {
    bleu.brevity_penalty =
        std::min(1.0, std::exp(1 - static_cast<double>(bleu.reference_length) /
                                       static_cast<double>(bleu.hypothesis_length)));
  }
  if (std::all_of(matched.begin(), matched.end(), [](std::int64_t m) { return m == 0; })) {
    return bleu;
  }
  double log_sum = 0, unmatched = 1;
  for (std::size_t n = 0; n < max_order; ++n) {
    if (total[n] == 0) {
      log_sum = -HUGE_VAL;
      continue;
    }
    double matches = static_cast<double>(matched[n]);
    if (matched[n] == 0 && smoothing == BleuSmoothing::exponential) matches = unmatched /= 2;
    const double precision = matches / static_cast<double>(total[n]);
    bleu.precisions[n] = 100 * precision;
    log_sum += std::log(precision);  // log 0 = -inf makes the score 0
  }
  bleu.score = 100 * bleu.brevity_penalty * std::exp(log_sum / max_order);
  return bleu;
}

}  // namespace rapt::tasks

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
  BleuCounts sum{};
  std::vector<std::vector<std::string>> own(references.size());
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    for (std::size_t k = 0; k < references.size(); ++k) own[k] = references[k][i];
    const BleuCounts counts = bleu_counts(hypotheses[i], own);
    for (std::size_t n = 0; n < sum.size(); ++n) sum[n] += counts[n];
  }
  return bleu_of(sum, smoothing);
}

BleuCounts bleu_counts(std::span<const std::string> hypothesis,
                       std::span<const std::vector<std::string>> references) {
  if (references.empty()) throw std::invalid_argument("bleu_counts: no references");
  std::unordered_map<std::string_view, std::int64_t> numbers;
  const auto numbered = [&](std::span<const std::string> sentence) {
    std::vector<std::int64_t> out;
    for (const std::string& token : sentence) {
      out.push_back(
          numbers.try_emplace(token, static_cast<std::int64_t>(numbers.size()) + 1).first->second);
    }
    return out;
  };
  const std::vector<std::int64_t> own = numbered(hypothesis);
  const auto length = static_cast<std::int64_t>(own.size());
  std::array<Counts, max_order> wanted;  // largest count in any reference
  std::int64_t nearest = -1;
  for (const auto& words : references) {
    const std::vector<std::int64_t> reference = numbered(words);
    const auto size = static_cast<std::int64_t>(reference.size());
    const std::int64_t distance = std::abs(size - length), best = std::abs(nearest - length);
    if (nearest < 0 || distance < best || (distance == best && size < nearest)) nearest = size;
    for (std::size_t n = 0; n < max_order; ++n) {
      for (const auto& [ngram, count] : ngrams(reference, n + 1)) {
        std::int64_t& most = wanted[n][ngram];
        most = std::max(most, count);
      }
    }
  }
  BleuCounts counts{};
  counts[2 * max_order] = length;
  counts[2 * max_order + 1] = nearest;
  for (std::size_t n = 0; n < max_order; ++n) {
    for (const auto& [ngram, count] : ngrams(own, n + 1)) {
      counts[max_order + n] += count;
      // An n-gram counts at most as often as in the reference.
      const auto found = wanted[n].find(ngram);
      if (found != wanted[n].end()) counts[n] += std::min(count, found->second);
    }
  }
  return counts;
}

Bleu bleu_of(const BleuCounts& counts, BleuSmoothing smoothing, bool effective_order) {
  const std::int64_t* matched = counts.data();
  const std::int64_t* total = counts.data() + max_order;
  Bleu bleu{};
  bleu.hypothesis_length = counts[2 * max_order];
  bleu.reference_length = counts[2 * max_order + 1];
  // score = BP * exp(mean of log precisions), BP = min(1, exp(1 - reference / hypothesis))
  if (bleu.hypothesis_length > 0) {
    bleu.brevity_penalty =
        std::min(1.0, std::exp(1 - static_cast<double>(bleu.reference_length) /
                                       static_cast<double>(bleu.hypothesis_length)));
  }
  if (std::all_of(matched, matched + max_order, [](std::int64_t m) { return m == 0; })) {
    return bleu;
  }
  double log_sum = 0, unmatched = 1;
  std::size_t orders = max_order;
  for (std::size_t n = 0; n < max_order; ++n) {
    if (total[n] == 0) {
      // A text without n-grams has none of a longer order either.
      if (effective_order) {
        orders = n;
        break;
      }
      log_sum = -HUGE_VAL;
      continue;
    }
    double matches = static_cast<double>(matched[n]);
    if (matched[n] == 0 && smoothing == BleuSmoothing::exponential) matches = unmatched /= 2;
    const double precision = matches / static_cast<double>(total[n]);
    bleu.precisions[n] = 100 * precision;
    log_sum += std::log(precision);  // log 0 = -inf makes the score 0
  }
  bleu.score = 100 * bleu.brevity_penalty * std::exp(log_sum / static_cast<double>(orders));
  return bleu;
}

}  // namespace rapt::tasks

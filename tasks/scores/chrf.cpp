#include "tasks/scores/chrf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

constexpr std::size_t longest_characters = 6;
constexpr std::string_view punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

using Counts = std::map<std::string, double>;

/// Counts the n-grams of 1 to `longest` items. `text` holds the items and `starts` their places,
/// with the end behind the last.
void add_ngrams(std::vector<Counts>& to, const std::string& text,
                const std::vector<std::size_t>& starts, std::size_t longest) {
  const std::size_t items = starts.size() - 1;
  for (std::size_t n = 1; n <= longest; ++n) {
    Counts& counts = to.emplace_back();
    for (std::size_t i = 0; i + n <= items; ++i) {
      ++counts[text.substr(starts[i], starts[i + n] - starts[i])];
    }
  }
}

/// Splits one ASCII punctuation mark off the end of a word, or else off its beginning, as chrF++
/// does.
std::vector<std::string> words_of(const std::vector<std::string>& parts) {
  std::vector<std::string> words;
  const auto is_mark = [](char c) { return punctuation.find(c) != punctuation.npos; };
  for (const std::string& part : parts) {
    const bool single = static_cast<std::size_t>(next_code_point(part).bytes) == part.size();
    if (!single && is_mark(part.back())) {
      words.push_back(part.substr(0, part.size() - 1));
      words.push_back(part.substr(part.size() - 1));
    } else if (!single && is_mark(part.front())) {
      words.push_back(part.substr(0, 1));
      words.push_back(part.substr(1));
    } else {
      words.push_back(part);
    }
  }
  return words;
}

std::vector<Counts> ngrams_of(std::string_view line, const ChrfOptions& options) {
  const std::vector<std::string> parts =
      split_white_space(options.lower ? to_lower(line) : std::string(line));
  const std::string text = fmt::format("{}", fmt::join(parts, ""));
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at < text.size();) {
    starts.push_back(at);
    at += static_cast<std::size_t>(next_code_point(std::string_view(text).substr(at)).bytes);
  }
  starts.push_back(text.size());
  std::vector<Counts> counts;
  add_ngrams(counts, text, starts, longest_characters);
  if (options.word_order < 1) return counts;
  std::string words;
  starts.clear();
  for (const std::string& word : words_of(parts)) {
    starts.push_back(words.size());
    words += word + ' ';
  }
  starts.push_back(words.size());
  add_ngrams(counts, words, starts, static_cast<std::size_t>(options.word_order));
  return counts;
}

std::vector<double> overlap(const std::vector<Counts>& hypothesis,
                            const std::vector<Counts>& reference) {
  std::vector<double> statistics;
  for (std::size_t n = 0; n < hypothesis.size(); ++n) {
    double of_hypothesis = 0, of_reference = 0, common = 0;
    for (const auto& [ngram, count] : reference[n]) of_reference += count;
    for (const auto& [ngram, count] : hypothesis[n]) {
      of_hypothesis += count;
      const auto found = reference[n].find(ngram);
      if (found != reference[n].end()) common += std::min(count, found->second);
    }
    // If the reference is too short for this order, the hypothesis is not judged by it.
    if (reference[n].empty()) of_hypothesis = 0;
    statistics.insert(statistics.end(), {of_hypothesis, of_reference, common});
  }
  return statistics;
}

}  // namespace

std::vector<double> chrf_statistics(std::string_view hypothesis,
                                    std::span<const std::string> references,
                                    const ChrfOptions& options) {
  if (references.empty()) throw std::invalid_argument("chrF needs references");
  const std::vector<Counts> own = ngrams_of(hypothesis, options);
  double best = -1;
  std::vector<double> chosen;
  for (const std::string& reference : references) {
    std::vector<double> statistics = overlap(own, ngrams_of(reference, options));
    if (const double score = chrf_of(statistics); score > best) {
      best = score;
      chosen = std::move(statistics);
    }
  }
  return chosen;
}

double chrf_of(std::span<const double> statistics) {
  double precision = 0, recall = 0, orders = 0;
  for (std::size_t i = 0; i + 2 < statistics.size(); i += 3) {
    const double hypothesis = statistics[i], reference = statistics[i + 1];
    if (hypothesis == 0 || reference == 0) continue;
    precision += statistics[i + 2] / hypothesis;
    recall += statistics[i + 2] / reference;
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  // F = (1 + b^2) P R / (b^2 P + R), b = 2
  constexpr double factor = 2 * 2;
  return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

}  // namespace rapt::tasks

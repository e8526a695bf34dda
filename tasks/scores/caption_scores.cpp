#include "tasks/scores/caption_scores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "tasks/scores/bleu.hpp"
#include "tasks/text/unicode.hpp"

namespace rapt::tasks {
namespace {

constexpr std::size_t longest_ngram = 4;
constexpr std::string_view punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

void check_counts(const char* what, std::size_t captions, std::size_t references) {
  if (captions == references) return;
  throw std::invalid_argument(
      fmt::format("{}: {} captions, but references for {}", what, captions, references));
}

std::size_t common_subsequence(const Sentence& a, const Sentence& b) {
  std::vector<std::size_t> row(b.size() + 1, 0);  // for the words of `a` so far
  for (const std::string& word : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

using Ngram = std::vector<std::string>;
using Counts = std::map<Ngram, double>;

Counts ngrams(const Sentence& sentence) {
  Counts counts;
  for (std::size_t n = 1; n <= longest_ngram; ++n) {
    for (std::size_t i = 0; i + n <= sentence.size(); ++i) {
      const auto begin = sentence.begin() + static_cast<std::ptrdiff_t>(i);
      ++counts[Ngram(begin, begin + static_cast<std::ptrdiff_t>(n))];
    }
  }
  return counts;
}

/// The tf-idf vectors of a sentence, all orders in one map, and the norm of each order.
struct Weighted {
  Counts weights;
  std::array<double, longest_ngram> norms{};
  double words = 0;
};

Weighted weighted(const Sentence& sentence, const Counts& documents, double log_documents) {
  Weighted out{ngrams(sentence), {}, static_cast<double>(sentence.size())};
  for (auto& [ngram, weight] : out.weights) {
    const auto found = documents.find(ngram);
    weight *= log_documents - (found == documents.end() ? 0 : std::log(found->second));
    out.norms[ngram.size() - 1] += weight * weight;
  }
  for (double& norm : out.norms) norm = std::sqrt(norm);
  return out;
}

double similarity(const Weighted& caption, const Weighted& reference) {
  constexpr double sigma = 6;
  std::array<double, longest_ngram> products{};
  for (const auto& [ngram, weight] : caption.weights) {
    const auto found = reference.weights.find(ngram);
    if (found == reference.weights.end()) continue;
    products[ngram.size() - 1] += std::min(weight, found->second) * found->second;
  }
  double sum = 0;
  for (std::size_t n = 0; n < longest_ngram; ++n) {
    const double norms = caption.norms[n] * reference.norms[n];
    if (norms > 0) sum += products[n] / norms;
  }
  const double longer = caption.words - reference.words;
  return sum / longest_ngram * std::exp(-longer * longer / (2 * sigma * sigma));
}

}  // namespace

Sentence caption_words(std::string_view line, const CaptionWords& options) {
  Sentence words = split_white_space(options.lower ? to_lower(line) : std::string(line));
  if (!options.strip_punctuation) return words;
  for (std::string& word : words) {
    std::erase_if(word, [](char c) { return punctuation.find(c) != punctuation.npos; });
  }
  std::erase_if(words, [](const std::string& word) { return word.empty(); });
  return words;
}

double rouge_l(const Sentence& caption, std::span<const Sentence> references) {
  constexpr double beta2 = 1.2 * 1.2;
  double precision = 0, recall = 0;
  for (const Sentence& reference : references) {
    if (caption.empty() || reference.empty()) continue;
    const auto common = static_cast<double>(common_subsequence(caption, reference));
    precision = std::max(precision, common / static_cast<double>(caption.size()));
    recall = std::max(recall, common / static_cast<double>(reference.size()));
  }
  if (precision == 0) return 0;
  // F = (1 + beta^2) R P / (R + beta^2 P)
  return (1 + beta2) * recall * precision / (recall + beta2 * precision);
}

std::vector<double> cider_d(std::span<const Sentence> captions,
                            std::span<const std::vector<Sentence>> references) {
  check_counts("cider_d", captions.size(), references.size());
  Counts documents;
  for (const std::vector<Sentence>& of_one : references) {
    std::set<Ngram> seen;
    for (const Sentence& reference : of_one) {
      for (const auto& [ngram, count] : ngrams(reference)) seen.insert(ngram);
    }
    for (const Ngram& ngram : seen) ++documents[ngram];
  }
  const double log_documents = std::log(static_cast<double>(references.size()));
  std::vector<double> scores;
  for (std::size_t i = 0; i < captions.size(); ++i) {
    const Weighted caption = weighted(captions[i], documents, log_documents);
    double sum = 0;
    for (const Sentence& reference : references[i]) {
      sum += similarity(caption, weighted(reference, documents, log_documents));
    }
    const auto count = static_cast<double>(std::max<std::size_t>(references[i].size(), 1));
    scores.push_back(10 * sum / count);
  }
  return scores;
}

CaptionScores score_captions(std::span<const Sentence> captions,
                             std::span<const std::vector<Sentence>> references) {
  check_counts("score_captions", captions.size(), references.size());
  if (captions.empty()) throw std::invalid_argument("score_captions: no captions");
  std::size_t most = 0;
  for (const std::vector<Sentence>& of_one : references) {
    if (of_one.empty()) throw std::invalid_argument("score_captions: a caption has no reference");
    most = std::max(most, of_one.size());
  }
  // corpus_bleu needs equally many references for all captions. A repeated one changes nothing.
  std::vector<std::vector<Sentence>> sets(most);
  for (std::size_t k = 0; k < most; ++k) {
    for (const std::vector<Sentence>& of_one : references) {
      sets[k].push_back(of_one[k < of_one.size() ? k : 0]);
    }
  }
  const Bleu bleu = corpus_bleu(captions, sets, BleuSmoothing::none);
  CaptionScores scores{.captions = std::ssize(captions)};
  double log_sum = 0;
  for (std::size_t n = 0; n < longest_ngram; ++n) {
    log_sum += std::log(bleu.precisions[n] / 100);  // log 0 = -inf makes the score 0
    scores.bleu[n] = 100 * bleu.brevity_penalty * std::exp(log_sum / static_cast<double>(n + 1));
  }
  const auto count = static_cast<double>(captions.size());
  for (std::size_t i = 0; i < captions.size(); ++i) {
    const auto& right = references[i];
    scores.rouge_l += 100 * rouge_l(captions[i], right) / count;
    if (std::find(right.begin(), right.end(), captions[i]) != right.end()) {
      scores.exact += 100 / count;
    }
  }
  for (const double one : cider_d(captions, references)) scores.cider_d += one / count;
  return scores;
}

}  // namespace rapt::tasks

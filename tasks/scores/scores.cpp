#include "tasks/scores/scores.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <stdexcept>

#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view version = "rapt-1";
constexpr std::size_t chrf_order = 6;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Matches [\{-\~\[-\` -\&\(-\+\:-\@\/]: ASCII except letters, digits, ' , - and the period.
bool is_symbol(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

bool is_point(char c) { return c == '.' || c == ','; }

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// Replaces each pair of adjacent characters that satisfies `matches` by what `replace` appends.
/// Works from left to right without overlap, like a regular expression.
template <class Matches, class Replace>
std::string replace_pairs(std::string_view text, Matches&& matches, Replace&& replace) {
  std::string out;
  std::size_t i = 0;
  while (i + 1 < text.size()) {
    if (matches(text[i], text[i + 1])) {
      replace(out, text[i], text[i + 1]);
      i += 2;
    } else {
      out += text[i++];
    }
  }
  return out.append(text.substr(i));
}

/// Splits into the tokens of mteval-v13a.pl, by sacrebleu's four regular expressions in their
/// order.
std::string tokenize_13a(std::string_view line) {
  std::string text = replace_all(std::string(line), "<skipped>", "");
  text = replace_all(std::move(text), "&quot;", "\"");
  text = replace_all(std::move(text), "&amp;", "&");
  text = replace_all(std::move(text), "&lt;", "<");
  text = replace_all(std::move(text), "&gt;", ">");
  std::string apart = " ";
  for (const char c : text) {
    if (is_symbol(c)) {
      apart += {' ', c, ' '};
    } else {
      apart += c;
    }
  }
  apart += ' ';
  // ([^0-9])([\.,]) -> "\1 \2 "
  text = replace_pairs(
      apart, [](char a, char b) { return !is_digit(a) && is_point(b); },
      [](std::string& out, char a, char b) {
        out += {a, ' ', b, ' '};
      });
  // ([\.,])([^0-9]) -> " \1 \2"
  text = replace_pairs(
      text, [](char a, char b) { return is_point(a) && !is_digit(b); },
      [](std::string& out, char a, char b) {
        out += {' ', a, ' ', b};
      });
  // ([0-9])(-) -> "\1 \2 "
  return replace_pairs(
      text, [](char a, char b) { return is_digit(a) && b == '-'; },
      [](std::string& out, char a, char b) {
        out += {a, ' ', b, ' '};
      });
}

void check_sizes(const Lines& hypotheses, std::span<const Lines> references) {
  if (references.empty()) throw std::invalid_argument("a score needs references");
  for (const Lines& set : references) {
    if (set.size() == hypotheses.size()) continue;
    throw std::invalid_argument(
        fmt::format("{} hypotheses, but {} references", hypotheses.size(), set.size()));
  }
}

/// Numbers of n-grams of one order in a sentence, in its reference, and in both.
struct Overlap {
  std::int64_t hypothesis = 0, reference = 0, common = 0;
};
using Overlaps = std::array<Overlap, chrf_order>;
using CharCounts = std::array<std::map<std::string, std::int64_t>, chrf_order>;

CharCounts char_ngrams(std::string_view line, bool lower) {
  std::string text;
  for (const std::string& part : split_white_space(lower ? to_lower(line) : std::string(line))) {
    text += part;
  }
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at < text.size();) {
    starts.push_back(at);
    at += static_cast<std::size_t>(next_code_point(std::string_view(text).substr(at)).bytes);
  }
  const std::size_t characters = starts.size();
  starts.push_back(text.size());
  CharCounts counts;
  for (std::size_t n = 1; n <= chrf_order; ++n) {
    for (std::size_t i = 0; i + n <= characters; ++i) {
      ++counts[n - 1][text.substr(starts[i], starts[i + n] - starts[i])];
    }
  }
  return counts;
}

Overlaps overlap(const CharCounts& hypothesis, const CharCounts& reference) {
  Overlaps result;
  for (std::size_t n = 0; n < chrf_order; ++n) {
    for (const auto& [ngram, count] : reference[n]) result[n].reference += count;
    for (const auto& [ngram, count] : hypothesis[n]) {
      result[n].hypothesis += count;
      const auto found = reference[n].find(ngram);
      if (found != reference[n].end()) result[n].common += std::min(count, found->second);
    }
    // If the reference is too short for this order, the hypothesis is not judged by it.
    if (reference[n].empty()) result[n].hypothesis = 0;
  }
  return result;
}

/// F = (1 + b^2) P R / (b^2 P + R), b = 2, with P and R averaged over the orders that both have.
double f_score(const Overlaps& overlaps) {
  double precision = 0, recall = 0, orders = 0;
  for (const Overlap& o : overlaps) {
    if (o.hypothesis == 0 || o.reference == 0) continue;
    precision += static_cast<double>(o.common) / static_cast<double>(o.hypothesis);
    recall += static_cast<double>(o.common) / static_cast<double>(o.reference);
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  constexpr double factor = 2 * 2;
  return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

}  // namespace

std::vector<std::string> score_tokens(std::string_view line, const ScoreOptions& options) {
  const std::string text = options.lower ? to_lower(line) : std::string(line);
  if (options.tokens == ScoreTokens::v13a) return split_white_space(tokenize_13a(text));
  std::vector<std::string> tokens = split_white_space(text);
  if (options.tokens == ScoreTokens::none) return tokens;
  std::vector<std::string> characters;
  for (const std::string& token : tokens) {
    for (std::string& character : split_characters(token)) {
      characters.push_back(std::move(character));
    }
  }
  return characters;
}

Bleu score_bleu(const Lines& hypotheses, std::span<const Lines> references,
                const ScoreOptions& options) {
  check_sizes(hypotheses, references);
  const auto tokens = [&](const Lines& lines) {
    std::vector<std::vector<std::string>> all;
    for (const std::string& line : lines) all.push_back(score_tokens(line, options));
    return all;
  };
  std::vector<std::vector<std::vector<std::string>>> sets;
  for (const Lines& set : references) sets.push_back(tokens(set));
  return corpus_bleu(tokens(hypotheses), sets, BleuSmoothing::exponential);
}

std::string bleu_signature(const ScoreOptions& options, std::size_t references) {
  return fmt::format("nrefs:{}|case:{}|eff:no|tok:{}|smooth:exp|version:{}", references,
                     options.lower ? "lc" : "mixed",
                     options.tokens == ScoreTokens::none   ? "none"
                     : options.tokens == ScoreTokens::v13a ? "13a"
                                                           : "char",
                     version);
}

double score_chrf(const Lines& hypotheses, std::span<const Lines> references, bool lower) {
  check_sizes(hypotheses, references);
  Overlaps sum;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const CharCounts hypothesis = char_ngrams(hypotheses[i], lower);
    double best = -1;
    Overlaps chosen;
    for (const Lines& set : references) {
      const Overlaps own = overlap(hypothesis, char_ngrams(set[i], lower));
      if (const double score = f_score(own); score > best) {
        best = score;
        chosen = own;
      }
    }
    for (std::size_t n = 0; n < chrf_order; ++n) {
      sum[n].hypothesis += chosen[n].hypothesis;
      sum[n].reference += chosen[n].reference;
      sum[n].common += chosen[n].common;
    }
  }
  return f_score(sum);
}

std::string chrf_signature(bool lower, std::size_t references) {
  return fmt::format("nrefs:{}|case:{}|eff:yes|nc:6|nw:0|space:no|version:{}", references,
                     lower ? "lc" : "mixed", version);
}

}  // namespace rapt::tasks

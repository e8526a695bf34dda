#include "tasks/text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "tasks/data/files.hpp"
#include "tasks/text/unicode.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view blanks = " \t\v\f\r";
constexpr std::array<std::string_view, 4> special = {"<pad>", "<unk>", "<s>", "</s>"};

bool has_blank_or_break(std::string_view token) {
  return token.find_first_of(blanks) != token.npos || token.find('\n') != token.npos;
}

bool is_special(std::string_view token) {
  return std::find(special.begin(), special.end(), token) != special.end();
}

// Contains spaces, so no token can equal it.
std::string vocabulary_end(std::size_t size) { return fmt::format("# {} tokens", size); }

}  // namespace

Corpus read_parallel(const std::string& source, const std::string& target, SkipReport& skipped) {
  std::vector<Line> source_lines = read_raw_lines(source);
  std::vector<Line> target_lines = read_raw_lines(target);
  if (source_lines.size() != target_lines.size()) {
    throw TextError(source, 0,
                    fmt::format("{} lines, but {} has {}: line i of one must be the translation of "
                                "line i of the other",
                                source_lines.size(), target, target_lines.size()));
  }
  const auto fault = [&](const Line& line) -> std::string_view {
    const std::string_view what = text_fault(line.text);
    return what.empty() && split_white_space(line.text).empty() ? "an empty line" : what;
  };
  Corpus corpus;
  for (std::size_t i = 0; i < source_lines.size(); ++i) {
    const std::int64_t number = source_lines[i].number;
    if (const auto what = fault(source_lines[i]); !what.empty()) {
      skipped.add(what, source, number);
    } else if (const auto also = fault(target_lines[i]); !also.empty()) {
      skipped.add(also, target, number);
    } else {
      corpus.source.push_back(std::move(source_lines[i].text));
      corpus.target.push_back(std::move(target_lines[i].text));
      corpus.line.push_back(number);
    }
  }
  return corpus;
}

Vocabulary::Vocabulary(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {
  for (const std::string& token : tokens_) {
    ids_.emplace(token, static_cast<std::int32_t>(ids_.size()));
  }
}

Vocabulary Vocabulary::build(std::span<const Sentence> sentences,
                             const VocabularyOptions& options) {
  if (std::cmp_less(options.max_size, special.size())) {
    throw std::invalid_argument(
        fmt::format("a vocabulary of at most {} tokens has no room for the {} special ones",
                    options.max_size, special.size()));
  }
  std::unordered_map<std::string_view, std::int64_t> counts;
  for (const Sentence& sentence : sentences) {
    for (const std::string& token : sentence) ++counts[token];
  }
  std::vector<std::pair<std::string_view, std::int64_t>> kept;
  for (const auto& entry : counts) {
    // A token that a saved file could not hold is left out, and so becomes unknown.
    const bool can_be_saved = !entry.first.empty() && !has_blank_or_break(entry.first);
    if (entry.second >= options.min_count && can_be_saved && !is_special(entry.first)) {
      kept.push_back(entry);
    }
  }
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
    return std::tie(b.second, a.first) < std::tie(a.second, b.first);
  });
  kept.resize(std::min(kept.size(), static_cast<std::size_t>(options.max_size) - special.size()));
  std::vector<std::string> tokens(special.begin(), special.end());
  for (const auto& entry : kept) tokens.emplace_back(entry.first);
  return Vocabulary(std::move(tokens));
}

void Vocabulary::save(const std::string& path) const {
  std::string text;
  for (const std::string& token : tokens_) text += token + '\n';
  write_file_atomically(path, text + vocabulary_end(tokens_.size()) + '\n');
}

Vocabulary Vocabulary::load(const std::string& path) {
  std::vector<Line> lines = read_lines(path);
  for (std::size_t i = 0; i < special.size(); ++i) {
    if (i >= lines.size() || lines[i].text != special[i]) {
      throw TextError(path, static_cast<std::int64_t>(i) + 1,
                      fmt::format("no vocabulary: this line must be {}", special[i]));
    }
  }
  if (lines.back().text != vocabulary_end(lines.size() - 1)) {
    throw TextError(path, lines.back().number,
                    fmt::format("a vocabulary of {} tokens ends with the line \"{}\"; is the file "
                                "truncated?",
                                lines.size() - 1, vocabulary_end(lines.size() - 1)));
  }
  lines.pop_back();
  std::vector<std::string> tokens;
  std::unordered_map<std::string_view, std::int64_t> seen;
  for (const Line& line : lines) {
    if (line.text.empty()) throw TextError(path, line.number, "empty token");
    if (has_blank_or_break(line.text)) throw TextError(path, line.number, "a token with a blank");
    if (const auto [first, fresh] = seen.emplace(line.text, line.number); !fresh) {
      throw TextError(path, line.number, fmt::format("the token of line {} again", first->second));
    }
    tokens.push_back(line.text);
  }
  return Vocabulary(std::move(tokens));
}

std::int32_t Vocabulary::id(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end() || std::cmp_less(found->second, special.size())) return unknown;
  return found->second;
}

const std::string& Vocabulary::token(std::int32_t id) const {
  if (id < 0 || id >= size()) {
    throw std::out_of_range(fmt::format("token {} of a vocabulary of {} tokens", id, size()));
  }
  return tokens_[static_cast<std::size_t>(id)];
}

std::vector<std::int32_t> Vocabulary::encode(std::span<const std::string> sentence) const {
  std::vector<std::int32_t> ids;
  ids.reserve(sentence.size());
  for (const std::string& token : sentence) ids.push_back(id(token));
  return ids;
}

Sentence Vocabulary::decode(std::span<const std::int32_t> ids) const {
  Sentence sentence;
  for (const std::int32_t id : ids) {
    if (id == end) break;
    if (id != pad && id != begin) sentence.push_back(token(id));
  }
  return sentence;
}

double Vocabulary::unknown_share(std::span<const Sentence> sentences) const {
  std::int64_t all = 0, missing = 0;
  for (const Sentence& sentence : sentences) {
    for (const std::string& token : sentence) {
      ++all;
      missing += id(token) == unknown;
    }
  }
  return all == 0 ? 0 : static_cast<double>(missing) / static_cast<double>(all);
}

}  // namespace rapt::tasks

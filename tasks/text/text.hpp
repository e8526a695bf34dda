// Reads parallel text and builds vocabularies.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tasks/text/reader.hpp"

namespace rapt::tasks {

using Sentence = std::vector<std::string>;

/// Parallel lines: target[i] translates source[i]. Both come from line `line[i]` of their files.
struct Corpus {
  std::vector<std::string> source, target;
  std::vector<std::int64_t> line;
  std::size_t size() const { return source.size(); }
};

/// Reads two files whose lines correspond. Skips pairs with an invalid line or one of white space
/// and counts each once, at its first fault. Throws TextError as read_lines does, and if the
/// numbers of lines differ.
Corpus read_parallel(const std::string& source, const std::string& target, SkipReport& skipped);

struct VocabularyOptions {
  std::int32_t max_size = 4000;  // including the four special tokens
  std::int64_t min_count = 1;
};

/// Maps tokens to numbers. The four special tokens come first, then tokens by falling frequency;
/// equal ones are in byte order. So the same text gives the same numbers everywhere.
class Vocabulary {
 public:
  static constexpr std::int32_t pad = 0, unknown = 1, begin = 2, end = 3;

  /// Throws std::invalid_argument if max_size leaves no room for the special tokens.
  static Vocabulary build(std::span<const Sentence> sentences, const VocabularyOptions& options);

  /// Saves a text file with one token per line (line n holds token n - 1). The last line holds the
  /// number of tokens, which reveals a truncated file. load() throws TextError for a malformed
  /// file.
  void save(const std::string& path) const;
  static Vocabulary load(const std::string& path);

  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }

  /// Returns the token's number, or `unknown`. Text cannot spell <pad>, <s> or </s>: those are
  /// unknown too.
  std::int32_t id(std::string_view token) const;

  /// Returns the text of a token. Throws std::out_of_range.
  const std::string& token(std::int32_t id) const;

  /// Returns one number per token. The caller adds begin and end marks where its model needs them.
  std::vector<std::int32_t> encode(std::span<const std::string> sentence) const;

  /// Returns the tokens up to the first </s>, without <pad> and <s>. Throws std::out_of_range.
  Sentence decode(std::span<const std::int32_t> ids) const;

  /// Returns the share of the sentences' tokens that are unknown, in [0, 1].
  double unknown_share(std::span<const Sentence> sentences) const;

 private:
  explicit Vocabulary(std::vector<std::string> tokens);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
};

}  // namespace rapt::tasks

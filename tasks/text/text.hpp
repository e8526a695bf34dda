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

namespace rapt::tasks {

using Sentence = std::vector<std::string>;

/// Thrown for an input file that cannot be used. `line` is 0 if the fault is not in one line. The
/// message starts with "file:line: " or "file: ".
class TextError : public std::runtime_error {
 public:
  TextError(std::string path, std::int64_t line, const std::string& what);
  const std::string& path() const { return path_; }
  std::int64_t line() const { return line_; }

 private:
  std::string path_;
  std::int64_t line_;
};

/// A line without its line ending, and its number in the file, from 1.
struct Line {
  std::string text;
  std::int64_t number;
};

/// Counts of skipped lines by reason, with the first place of each reason.
class SkipReport {
 public:
  struct Reason {
    std::string what;
    std::int64_t count;
    std::string first;  // file:line
  };

  void add(std::string_view what, const std::string& path, std::int64_t line);
  const std::vector<Reason>& reasons() const { return reasons_; }
  std::int64_t count() const;

  /// Returns text such as "skipped 3: 2 empty lines (first a.en:17), 1 invalid UTF-8 (first
  /// a.de:40)", or "skipped none".
  std::string message() const;

 private:
  std::vector<Reason> reasons_;
};

/// Returns the bytes of a file, plain or gzip. Throws TextError if the file is missing, has more
/// than `most` bytes after unpacking, is damaged or truncated gzip, or is named .gz without being
/// gzip.
std::string read_bytes(const std::string& path,
                       std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// Returns the lines of a UTF-8 text file, plain or gzip. Drops a byte order mark at the start and
/// CR before LF. Throws TextError if the file is missing, is damaged or truncated gzip, is named
/// .gz without being gzip, or has invalid UTF-8. The second form skips and counts lines of invalid
/// UTF-8.
std::vector<Line> read_lines(const std::string& path);
std::vector<Line> read_lines(const std::string& path, SkipReport& skipped);

/// Splits at spaces, tabs and other ASCII white space.
Sentence split_blanks(std::string_view text);

/// Parallel lines: target[i] translates source[i]. Both come from line `line[i]` of their files.
struct Corpus {
  std::vector<std::string> source, target;
  std::vector<std::int64_t> line;
  std::size_t size() const { return source.size(); }
};

/// Reads two files whose lines correspond. Skips pairs with a blank or invalid line and counts each
/// once, at its first fault. Throws TextError as read_lines does, and if the numbers of lines
/// differ.
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

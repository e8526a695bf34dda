// Parallel text: reading, and vocabularies.
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

namespace rapt::examples {

using Sentence = std::vector<std::string>;

/// An input file that cannot be used. `line` is 0 where the file as a whole is at fault. The
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

/// A line without its end, and its number in the file, from 1.
struct Line {
  std::string text;
  std::int64_t number;
};

/// What was left out of a corpus and why, with the place where each reason was first met.
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

  /// Such as "skipped 3: 2 empty lines (first a.en:17), 1 invalid UTF-8 (first a.de:40)", or
  /// "skipped none".
  std::string message() const;

 private:
  std::vector<Reason> reasons_;
};

/// The bytes of a file, plain or gzip, of which there may be at most `most`, unpacked. Throws
/// TextError: no such file, more bytes, damaged or truncated gzip, a file named .gz that is none.
std::string read_bytes(const std::string& path,
                       std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// The lines of a UTF-8 text file, plain or gzip. A byte order mark at the start and CR before LF
/// are dropped. Throws TextError: no such file, damaged or truncated gzip, a file named .gz that is
/// none, invalid UTF-8. The second form skips and counts lines of invalid UTF-8.
std::vector<Line> read_lines(const std::string& path);
std::vector<Line> read_lines(const std::string& path, SkipReport& skipped);

/// The words between blanks (space, tab and the other ASCII white space).
Sentence split_blanks(std::string_view text);

/// Line i of `source` is the translation of line i of `target`, from line `line[i]` of the files.
struct Corpus {
  std::vector<std::string> source, target;
  std::vector<std::int64_t> line;
  std::size_t size() const { return source.size(); }
};

/// Reads two files whose lines correspond. Pairs with a blank or invalid line are skipped; each is
/// counted once, at its first fault. Throws TextError as read_lines does, and when the files differ
/// in their number of lines.
Corpus read_parallel(const std::string& source, const std::string& target, SkipReport& skipped);

struct VocabularyOptions {
  std::int32_t max_size = 4000;  // with the four special tokens
  std::int64_t min_count = 1;
};

/// Numbers for tokens. The four special tokens come first; then tokens by falling frequency, equal
/// ones in byte order, so that the same text gives the same numbers everywhere.
class Vocabulary {
 public:
  static constexpr std::int32_t pad = 0, unknown = 1, begin = 2, end = 3;

  /// Throws std::invalid_argument when max_size leaves no room for the special tokens.
  static Vocabulary build(std::span<const Sentence> sentences, const VocabularyOptions& options);

  /// A text file with one token per line (line n holds token n - 1), and a last line with their
  /// number, which shows a file that was cut. load throws TextError when anything is odd.
  void save(const std::string& path) const;
  static Vocabulary load(const std::string& path);

  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }

  /// The token's number, or `unknown`. Text cannot spell <pad>, <s> or </s>: they are unknown too.
  std::int32_t id(std::string_view token) const;

  /// Throws std::out_of_range.
  const std::string& token(std::int32_t id) const;

  /// One number per token; the caller adds begin and end where its model wants them.
  std::vector<std::int32_t> encode(std::span<const std::string> sentence) const;

  /// The tokens up to the first </s>, without <pad> and <s>. Throws std::out_of_range.
  Sentence decode(std::span<const std::int32_t> ids) const;

  /// The share of the sentences' tokens that are unknown, in [0, 1].
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

}  // namespace rapt::examples

// Converts text to numbers: words, characters or subword pieces.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tasks/text/subwords.hpp"
#include "tasks/text/text.hpp"

namespace rapt::tasks {

enum class TokenKind { words, characters, sentencepiece };

struct TokenizerOptions {
  TokenKind kind = TokenKind::words;
  bool lower = false;  // converts text to lower case first
  std::int32_t size = 4000;
  std::int64_t min_count = 1;  // of words and characters; rarer ones are unknown
  SubwordKind subwords = SubwordKind::bpe;
  bool normalise = true;  // SentencePiece: see SubwordOptions
};

/// Converts lines of text to token numbers and back. Words are separated by white
/// space of any script. Characters include spaces and tabs. SentencePiece's pieces come from any
/// plain text.
class Tokenizer {
 public:
  /// Builds a tokenizer from a text. Throws std::invalid_argument as Vocabulary::build and
  /// Subwords::train do.
  static Tokenizer train(std::span<const std::string> lines, const TokenizerOptions& options);

  TokenKind kind() const { return kind_; }
  bool lower() const { return lower_; }
  std::int32_t size() const;
  std::string token(std::int32_t id) const;

  /// Returns the token numbers without begin and end marks. `line` must be valid UTF-8.
  std::vector<std::int32_t> encode(std::string_view line) const;
  /// Returns several segmentations, as Subwords::segmentations. Words and characters have only one.
  std::vector<Segmentation> segmentations(std::string_view line, std::int32_t most,
                                          double alpha) const;
  /// Returns the text of the tokens up to the first end mark.
  std::string decode(std::span<const std::int32_t> ids) const;
  /// Return the tokens of a line as text, in the case of the line, and the text of such tokens.
  /// Both are for words and characters only: else they throw std::invalid_argument.
  Sentence split(std::string_view line) const;
  std::string join(const Sentence& tokens) const;
  /// Returns the share of the lines' tokens that are unknown, in [0, 1].
  double unknown_share(std::span<const std::string> lines) const;

  /// Saves stem.vocab (words and characters) or stem.spm. The file does not store `lower`. load()
  /// throws TextError.
  void save(const std::string& stem) const;
  static Tokenizer load(const std::string& stem, TokenKind kind, bool lower);
  static std::string file_name(const std::string& stem, TokenKind kind);

 private:
  Tokenizer(TokenKind kind, bool lower, std::variant<Vocabulary, Subwords> tokens)
      : kind_(kind), lower_(lower), tokens_(std::move(tokens)) {}

  TokenKind kind_;
  bool lower_;
  std::variant<Vocabulary, Subwords> tokens_;
};

}  // namespace rapt::tasks

#include "tasks/text/tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view mark = "\u2581";
constexpr std::string_view blanks = " \t\v\f\r\n", letters = " tvfrn";

/// Returns a token per character. A vocabulary's tokens hold no ASCII white space: a space is "▁",
/// a tab "▁t" and so on. The character "▁" itself is written twice.
Sentence characters_of(std::string_view line) {
  Sentence tokens = split_characters(line);  // writes a space as "▁" already
  std::size_t at = 0;
  for (std::string& token : tokens) {
    const std::size_t blank = blanks.find(line[at]);
    const auto bytes = static_cast<std::size_t>(next_code_point(line.substr(at)).bytes);
    if (blank != blanks.npos && blank > 0) {
      token = std::string(mark) + letters[blank];
    } else if (line.substr(at, bytes) == mark) {
      token += mark;
    }
    at += bytes;
  }
  return tokens;
}

std::string text_of_characters(const Sentence& tokens) {
  std::string text;
  for (const std::string& token : tokens) {
    if (token == mark) {
      text += ' ';
    } else if (token.starts_with(mark)) {
      const std::string_view rest = std::string_view(token).substr(mark.size());
      const std::size_t blank = rest.size() == 1 ? letters.find(rest[0]) : letters.npos;
      text += blank == letters.npos ? rest : blanks.substr(blank, 1);
    } else {
      text += token;
    }
  }
  return text;
}

Sentence split_as(std::string_view line, TokenKind kind) {
  return kind == TokenKind::words ? split_white_space(line) : characters_of(line);
}

}  // namespace

Tokenizer Tokenizer::train(std::span<const std::string> lines, const TokenizerOptions& options) {
  std::vector<std::string> lowered;
  if (options.lower) {
    for (const std::string& line : lines) lowered.push_back(to_lower(line));
    lines = lowered;
  }
  if (options.kind == TokenKind::sentencepiece) {
    return {options.kind, options.lower,
            Subwords::train(
                lines,
                {.size = options.size, .kind = options.subwords, .normalise = options.normalise})};
  }
  std::vector<Sentence> sentences;
  for (const std::string& line : lines) sentences.push_back(split_as(line, options.kind));
  return {options.kind, options.lower,
          Vocabulary::build(sentences, {.max_size = options.size, .min_count = options.min_count})};
}

std::int32_t Tokenizer::size() const {
  return std::visit([](const auto& tokens) { return tokens.size(); }, tokens_);
}

std::string Tokenizer::token(std::int32_t id) const {
  if (const auto* vocabulary = std::get_if<Vocabulary>(&tokens_)) return vocabulary->token(id);
  return std::get<Subwords>(tokens_).piece(id);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view line) const {
  const std::string text = lower_ ? to_lower(line) : std::string(line);
  if (const auto* subwords = std::get_if<Subwords>(&tokens_)) return subwords->encode(text);
  return std::get<Vocabulary>(tokens_).encode(split_as(text, kind_));
}

std::vector<Segmentation> Tokenizer::segmentations(std::string_view line, std::int32_t most,
                                                   double alpha) const {
  const auto* subwords = std::get_if<Subwords>(&tokens_);
  if (subwords == nullptr) return {{encode(line), 1}};
  return subwords->segmentations(lower_ ? to_lower(line) : std::string(line), most, alpha);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  if (const auto* subwords = std::get_if<Subwords>(&tokens_)) return subwords->decode(ids);
  return join(std::get<Vocabulary>(tokens_).decode(ids));
}

Sentence Tokenizer::split(std::string_view line) const {
  if (kind_ != TokenKind::sentencepiece) return split_as(line, kind_);
  throw std::invalid_argument("SentencePiece's pieces are no parts of the line");
}

std::string Tokenizer::join(const Sentence& tokens) const {
  if (kind_ == TokenKind::sentencepiece) {
    throw std::invalid_argument("SentencePiece's pieces are no parts of a line");
  }
  if (kind_ == TokenKind::characters) return text_of_characters(tokens);
  return fmt::format("{}", fmt::join(tokens, " "));
}

double Tokenizer::unknown_share(std::span<const std::string> lines) const {
  std::int64_t all = 0, missing = 0;
  for (const std::string& line : lines) {
    const std::vector<std::int32_t> ids = encode(line);
    all += static_cast<std::int64_t>(ids.size());
    missing += std::count(ids.begin(), ids.end(), Vocabulary::unknown);
  }
  return all == 0 ? 0 : static_cast<double>(missing) / static_cast<double>(all);
}

std::string Tokenizer::file_name(const std::string& stem, TokenKind kind) {
  return stem + (kind == TokenKind::sentencepiece ? ".spm" : ".vocab");
}

void Tokenizer::save(const std::string& stem) const {
  const std::string path = file_name(stem, kind_);
  std::visit([&](const auto& tokens) { tokens.save(path); }, tokens_);
}

Tokenizer Tokenizer::load(const std::string& stem, TokenKind kind, bool lower) {
  const std::string path = file_name(stem, kind);
  if (kind == TokenKind::sentencepiece) return {kind, lower, Subwords::load(path)};
  return {kind, lower, Vocabulary::load(path)};
}

}  // namespace rapt::tasks

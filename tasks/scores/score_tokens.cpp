#include "tasks/scores/score_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#if RAPT_HAS_MECAB
#include <mecab.h>

#include <memory>
#endif

#include "framework/core/error.hpp"
#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

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

/// Splits punctuation off by sacrebleu's four regular expressions in their order.
std::string split_punctuation(std::string_view text) {
  std::string apart;
  for (const char c : text) {
    if (is_symbol(c)) {
      apart += {' ', c, ' '};
    } else {
      apart += c;
    }
  }
  // ([^0-9])([\.,]) -> "\1 \2 "
  std::string spaced = replace_pairs(
      apart, [](char a, char b) { return !is_digit(a) && is_point(b); },
      [](std::string& out, char a, char b) {
        out += {a, ' ', b, ' '};
      });
  // ([\.,])([^0-9]) -> " \1 \2"
  spaced = replace_pairs(
      spaced, [](char a, char b) { return is_point(a) && !is_digit(b); },
      [](std::string& out, char a, char b) {
        out += {' ', a, ' ', b};
      });
  // ([0-9])(-) -> "\1 \2 "
  return replace_pairs(
      spaced, [](char a, char b) { return is_digit(a) && b == '-'; },
      [](std::string& out, char a, char b) {
        out += {a, ' ', b, ' '};
      });
}

/// Splits into the tokens of mteval-v13a.pl.
std::string tokenize_13a(std::string_view line) {
  std::string text = replace_all(std::string(line), "<skipped>", "");
  text = replace_all(std::move(text), "&quot;", "\"");
  text = replace_all(std::move(text), "&amp;", "&");
  text = replace_all(std::move(text), "&lt;", "<");
  text = replace_all(std::move(text), "&gt;", ">");
  return split_punctuation(fmt::format(" {} ", text));
}

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> points;
  while (!text.empty()) {
    const CodePoint point = next_code_point(text);
    points.push_back(point.value);
    text.remove_prefix(static_cast<std::size_t>(point.bytes));
  }
  return points;
}

/// Puts blanks around the second of each pair that `matches`, or around the first of it.
template <class Matches>
std::vector<char32_t> space_pairs(const std::vector<char32_t>& text, bool second,
                                  Matches&& matches) {
  std::vector<char32_t> out;
  std::size_t i = 0;
  while (i + 1 < text.size()) {
    if (!matches(text[i], text[i + 1])) {
      out.push_back(text[i++]);
      continue;
    }
    if (second) {
      out.insert(out.end(), {text[i], U' ', text[i + 1], U' '});
    } else {
      out.insert(out.end(), {U' ', text[i], U' ', text[i + 1]});
    }
    i += 2;
  }
  if (i < text.size()) out.push_back(text[i]);
  return out;
}

/// Splits by the rules of mteval-v14.pl --international-tokenization.
std::string tokenize_intl(std::string_view line) {
  std::vector<char32_t> text = space_pairs(code_points(line), true, [](char32_t a, char32_t b) {
    return !is_number(a) && is_punctuation(b);
  });
  text = space_pairs(text, false,
                     [](char32_t a, char32_t b) { return is_punctuation(a) && !is_number(b); });
  std::string out;
  for (const char32_t c : text) {
    const bool apart = is_symbol_of_any_script(c);
    if (apart) out += ' ';
    append_utf8(out, c);
    if (apart) out += ' ';
  }
  return out;
}

/// The characters that sacrebleu's tokens for Chinese keep apart. Its list names U+20000 to U+2A6D6
/// and U+2F800 to U+2FA1D by escapes of four digits. So it compares with U+2000 and the like, and
/// these ranges are what it then means: they have quotation marks and symbols, and no rare
/// characters.
bool is_chinese(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range ranges[] = {
      {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9},
      {0x2001, 0x2A6D}, {0x2F81, 0x2FA1}, {0xFF00, 0xFFEF}, {0x2E80, 0x2EFF}, {0x3000, 0x303F},
      {0x31C0, 0x31EF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3100, 0x312F}, {0x31A0, 0x31BF},
      {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0x3200, 0x33FF}};
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](Range range) { return range.first <= c && c <= range.last; });
}

std::string tokenize_zh(std::string_view line) {
  std::string text;
  for (const char32_t c : code_points(line)) {
    const bool apart = is_chinese(c);
    if (apart) text += ' ';
    append_utf8(text, c);
    if (apart) text += ' ';
  }
  return split_punctuation(text);
}

#if RAPT_HAS_MECAB
std::string tokenize_ja(std::string_view line) {
  // A tagger keeps a buffer for its result, so each thread has its own.
  thread_local const std::unique_ptr<MeCab::Tagger> tagger(MeCab::createTagger("-Owakati"));
  if (!tagger) {
    throw Error(
        fmt::format("tokens ja-mecab: MeCab finds no dictionary; install mecab-ipadic-utf8 ({})",
                    MeCab::getLastError()));
  }
  const char* words = tagger->parse(line.data(), line.size());
  if (words == nullptr) throw Error(fmt::format("tokens ja-mecab: {}", tagger->what()));
  return words;
}
#else
std::string tokenize_ja(std::string_view) {
  throw Error("tokens ja-mecab: this rapt was built without MeCab (Debian: libmecab-dev)");
}
#endif

struct Named {
  ScoreTokens tokens;
  std::string_view name;
};
constexpr Named names[] = {{ScoreTokens::none, "none"}, {ScoreTokens::v13a, "13a"},
                           {ScoreTokens::intl, "intl"}, {ScoreTokens::characters, "char"},
                           {ScoreTokens::zh, "zh"},     {ScoreTokens::ja_mecab, "ja-mecab"}};

}  // namespace

ScoreTokens score_tokens_named(std::string_view name) {
  for (const Named& known : names) {
    if (known.name == name) return known.tokens;
  }
  throw std::invalid_argument(fmt::format("'{}' is no kind of tokens for scores", name));
}

std::string_view name_of(ScoreTokens tokens) {
  return std::find_if(std::begin(names), std::end(names),
                      [&](const Named& known) { return known.tokens == tokens; })
      ->name;
}

std::vector<std::string> score_tokens(std::string_view line, const ScoreOptions& options) {
  const std::string text = options.lower ? to_lower(line) : std::string(line);
  switch (options.tokens) {
    case ScoreTokens::none:
      return split_white_space(text);
    case ScoreTokens::v13a:
      return split_white_space(tokenize_13a(text));
    case ScoreTokens::intl:
      return split_white_space(tokenize_intl(text));
    case ScoreTokens::zh:
      return split_white_space(tokenize_zh(text));
    case ScoreTokens::ja_mecab:
      return split_white_space(tokenize_ja(text));
    case ScoreTokens::characters:
      break;
  }
  std::vector<std::string> characters;
  for (const std::string& token : split_white_space(text)) {
    for (std::string& character : split_characters(token)) {
      characters.push_back(std::move(character));
    }
  }
  return characters;
}

bool lacks_blanks(std::span<const std::string> lines) {
  std::size_t blanks = 0, characters = 0, texts = 0;
  for (const std::string& line : lines) {
    std::size_t own = 0;
    for (const char32_t c : code_points(line)) {
      blanks += is_white_space(c);
      own += !is_white_space(c);
    }
    characters += own;
    texts += own > 0;
  }
  return characters > 2 * texts && 20 * blanks < characters;
}

}  // namespace rapt::tasks

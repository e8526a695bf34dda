// UTF-8: code points, letter case, and widths in a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

/// One code point of a text and its number of bytes. `valid` is false for a byte that starts no
/// well-formed sequence (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF). It
/// then stands for that byte alone.
struct CodePoint {
  char32_t value;
  int bytes;
  bool valid;
};

/// Returns the first code point of a text, which must not be empty.
CodePoint next_code_point(std::string_view text);

bool is_valid_utf8(std::string_view text);

void append_utf8(std::string& text, char32_t code_point);

/// Convert ASCII and Latin-1 letters to lower and upper case, enough for the languages of the dates
/// demo. All other characters are unchanged, and so are letters whose other case is longer, such as
/// ß.
std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);

/// Replaces control characters and invalid bytes by U+FFFD. The result is safe for a terminal and
/// for XML 1.0, which forbids control characters even when escaped.
std::string printable(std::string_view text);

/// Returns the columns of a text in a terminal: 2 for East Asian wide characters, 0 for combining
/// ones.
int display_width(std::string_view text);

/// Returns the longest prefix of a text that needs at most `columns` columns.
std::string_view cut_to_width(std::string_view text, int columns);

/// Splits text into one token per character. A space becomes "▁" (U+2581), which can be seen.
std::vector<std::string> split_characters(std::string_view text);

/// Returns true if the environment's locale uses UTF-8.
bool locale_is_utf8();

}  // namespace rapt::tasks

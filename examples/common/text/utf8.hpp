// UTF-8: code points, letter case, columns in a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::examples {

/// One code point of a text, and the bytes it takes there. `valid` is false for a byte that starts
/// no well-formed sequence (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF); it
/// then stands for that byte alone.
struct CodePoint {
  char32_t value;
  int bytes;
  bool valid;
};

/// The code point at the start of a text that is not empty.
CodePoint next_code_point(std::string_view text);

bool is_valid_utf8(std::string_view text);

void append_utf8(std::string& text, char32_t code_point);

/// Lower and upper case of ASCII and Latin-1 letters (enough for the languages of the dates demo);
/// every other character stays as it is, also those whose other case is longer, such as ß.
std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);

/// The text without control characters and invalid bytes, each of which becomes U+FFFD: fit for a
/// terminal and for XML 1.0, which forbids them even when escaped.
std::string printable(std::string_view text);

/// Columns that a text takes in a terminal: 2 for East Asian wide characters, 0 for combining ones.
int display_width(std::string_view text);

/// The longest beginning of a text that takes at most `columns` columns.
std::string_view cut_to_width(std::string_view text, int columns);

/// One token per character, for models that read characters. A blank becomes "▁" (U+2581), because
/// tokens hold no blanks; join_characters turns it back.
std::vector<std::string> split_characters(std::string_view text);
std::string join_characters(const std::vector<std::string>& characters);

/// Whether the environment's locale says that terminals here speak UTF-8.
bool locale_is_utf8();

}  // namespace rapt::examples

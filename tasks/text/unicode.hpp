// Functions that need Unicode's tables: lower case and white space.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

/// Converts to lower case in every script, independent of the locale (Unicode's full mapping). The
/// text must be valid UTF-8: invalid bytes become U+FFFD. Throws Error for letters beyond Latin-1
/// if rapt was built without ICU.
std::string to_lower(std::string_view text);

/// Splits at white space of any script, as Python's str.split() does.
std::vector<std::string> split_white_space(std::string_view text);

/// Return true for a code point of Unicode's categories P (punctuation), S (symbols) and N
/// (numbers). Throw Error for those beyond ASCII if rapt was built without ICU.
bool is_punctuation(char32_t code_point);
bool is_symbol_of_any_script(char32_t code_point);
bool is_number(char32_t code_point);

/// Returns true if Python's str.split() treats the code point as white space.
bool is_white_space(char32_t code_point);

}  // namespace rapt::tasks

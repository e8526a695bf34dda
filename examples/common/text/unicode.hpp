// What Unicode's tables say of letters and blanks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rapt::examples {

/// The text in lower case, in every script and whatever the locale is (Unicode's full mapping). The
/// text must be valid UTF-8: invalid bytes become U+FFFD.
std::string to_lower(std::string_view text);

/// The parts between white space of any script, as Python's str.split() finds them.
std::vector<std::string> split_white_space(std::string_view text);

/// Whether a code point is white space to Python's str.split().
bool is_white_space(char32_t code_point);

}  // namespace rapt::examples

#include "tasks/text/unicode.hpp"

#include <algorithm>
#include <array>
#if RAPT_HAS_ICU
#include <unicode/locid.h>
#include <unicode/unistr.h>
#endif

#include "framework/core/error.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {

#if RAPT_HAS_ICU
std::string to_lower(std::string_view text) {
  const icu::StringPiece piece(text.data(), static_cast<std::int32_t>(text.size()));
  std::string lower;
  icu::UnicodeString::fromUTF8(piece).toLower(icu::Locale::getRoot()).toUTF8String(lower);
  return lower;
}
#else
std::string to_lower(std::string_view text) {
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint point = next_code_point(rest);
    if (point.value > 0xFF) {
      throw Error("lower case: this rapt was built without ICU, and knows Latin-1 letters only");
    }
    rest.remove_prefix(static_cast<std::size_t>(point.bytes));
  }
  return lower_case(text);
}
#endif

bool is_white_space(char32_t code_point) {
  // Unicode's property White_Space above Latin-1. Python adds the four ASCII separators.
  constexpr std::array<char32_t, 7> others = {0x20, 0x85, 0xA0, 0x1680, 0x202F, 0x205F, 0x3000};
  return (code_point >= 0x09 && code_point <= 0x0D) || (code_point >= 0x1C && code_point <= 0x1F) ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 ||
         code_point == 0x2029 || std::ranges::find(others, code_point) != others.end();
}

std::vector<std::string> split_white_space(std::string_view text) {
  std::vector<std::string> parts;
  std::string part;
  while (!text.empty()) {
    const CodePoint point = next_code_point(text);
    const auto bytes = static_cast<std::size_t>(point.bytes);
    if (point.valid && is_white_space(point.value)) {
      if (!part.empty()) parts.push_back(std::move(part));
      part.clear();
    } else {
      part += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  if (!part.empty()) parts.push_back(std::move(part));
  return parts;
}

}  // namespace rapt::tasks

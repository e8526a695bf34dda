#include "examples/common/text/unicode.hpp"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include "examples/common/text/utf8.hpp"

namespace rapt::examples {

std::string to_lower(std::string_view text) {
  const icu::StringPiece piece(text.data(), static_cast<std::int32_t>(text.size()));
  std::string lower;
  icu::UnicodeString::fromUTF8(piece).toLower(icu::Locale::getRoot()).toUTF8String(lower);
  return lower;
}

bool is_white_space(char32_t code_point) {
  // Python includes the four ASCII separators, which Unicode's property lacks.
  return (code_point >= 0x1C && code_point <= 0x1F) ||
         u_isUWhiteSpace(static_cast<UChar32>(code_point)) != 0;
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

}  // namespace rapt::examples

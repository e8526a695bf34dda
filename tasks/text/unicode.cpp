#include "tasks/text/unicode.hpp"

#include <algorithm>
#include <array>
#if RAPT_HAS_ICU
#include <unicode/locid.h>
#include <unicode/uchar.h>
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

namespace {

enum class Category { other, punctuation, symbol, number };

#if RAPT_HAS_ICU
Category category(char32_t code_point) {
  const std::uint32_t mask = U_GET_GC_MASK(static_cast<UChar32>(code_point));
  return mask & U_GC_P_MASK   ? Category::punctuation
         : mask & U_GC_S_MASK ? Category::symbol
         : mask & U_GC_N_MASK ? Category::number
                              : Category::other;
}
#else
Category category(char32_t code_point) {
  constexpr std::u32string_view symbols = U"$+<=>^`|~";
  if (code_point > 0x7F) {
    throw Error("kinds of characters: this rapt was built without ICU, and knows ASCII only");
  }
  if (code_point >= U'0' && code_point <= U'9') return Category::number;
  if (symbols.find(code_point) != symbols.npos) return Category::symbol;
  const char32_t lower = code_point | 0x20;
  const bool letter = lower >= U'a' && lower <= U'z';
  return code_point > 0x20 && code_point < 0x7F && !letter ? Category::punctuation
                                                           : Category::other;
}
#endif

}  // namespace

bool is_punctuation(char32_t c) { return category(c) == Category::punctuation; }
bool is_symbol_of_any_script(char32_t c) { return category(c) == Category::symbol; }
bool is_number(char32_t c) { return category(c) == Category::number; }

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

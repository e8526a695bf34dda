#include "tasks/text/utf8.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>

namespace rapt::tasks {
namespace {

struct Range {
  char32_t first, last;
};

// The blocks of Unicode's EastAsianWidth.txt with W or F that contain text and emoji.
constexpr Range wide[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},
    {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xA960, 0xA97C},   {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},
    {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

constexpr Range zero_width[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x202A, 0x202E},
                                {0x2060, 0x2064}, {0x20D0, 0x20F0}, {0x3099, 0x309A},
                                {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};

template <std::size_t N>
bool within(const Range (&ranges)[N], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](Range r) { return r.first <= c && c <= r.last; });
}

int columns_of(char32_t c) {
  if (within(zero_width, c)) return 0;
  return within(wide, c) ? 2 : 1;
}

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

constexpr char32_t replacement = 0xFFFD;
constexpr std::string_view blank_mark = "\u2581";

template <class Map>
std::string mapped(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = next_code_point(text);
    const auto bytes = static_cast<std::size_t>(c.bytes);
    const char32_t to = c.valid ? map(c.value) : c.value;
    if (!c.valid || to == c.value) {
      out += text.substr(0, bytes);
    } else {
      append_utf8(out, to);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace

CodePoint next_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const CodePoint invalid{replacement, 1, false};
  // 0x80..0xC1 are continuations and overlong two-byte forms; 0xF5.. lies above U+10FFFF.
  if (first < 0xC2 || first > 0xF4) return invalid;
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < length) return invalid;
  char32_t value = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return invalid;
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> smallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[length] || value > 0x10FFFF || surrogate) return invalid;
  return {value, static_cast<int>(length), true};
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = next_code_point(text);
    if (!c.valid) return false;
    text.remove_prefix(static_cast<std::size_t>(c.bytes));
  }
  return true;
}

void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  const auto tail = [&](int shift) { put(0x80u | ((c >> shift) & 0x3Fu)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0u | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    put(0xE0u | (c >> 12));
    tail(6);
    tail(0);
  } else {
    put(0xF0u | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string lower_case(std::string_view text) {
  return mapped(text, [](char32_t c) {
    const bool upper = (c >= U'A' && c <= U'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
    return upper ? c + 0x20 : c;
  });
}

std::string upper_case(std::string_view text) {
  return mapped(text, [](char32_t c) {
    const bool lower = (c >= U'a' && c <= U'z') || (c >= 0xE0 && c <= 0xFE && c != 0xF7);
    return lower ? c - 0x20 : c;
  });
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = next_code_point(text);
    // U+FFFE and U+FFFF are not characters, and XML forbids them too.
    const bool bad = !c.valid || is_control(c.value) || c.value == 0xFFFE || c.value == 0xFFFF;
    append_utf8(out, bad ? replacement : c.value);
    text.remove_prefix(static_cast<std::size_t>(c.bytes));
  }
  return out;
}

int display_width(std::string_view text) {
  int columns = 0;
  while (!text.empty()) {
    const CodePoint c = next_code_point(text);
    columns += columns_of(c.value);
    text.remove_prefix(static_cast<std::size_t>(c.bytes));
  }
  return columns;
}

std::string_view cut_to_width(std::string_view text, int columns) {
  std::size_t end = 0;
  int used = 0;
  while (end < text.size()) {
    const CodePoint c = next_code_point(text.substr(end));
    used += columns_of(c.value);
    if (used > columns) break;
    end += static_cast<std::size_t>(c.bytes);
  }
  return text.substr(0, end);
}

std::vector<std::string> split_characters(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto bytes = static_cast<std::size_t>(next_code_point(text).bytes);
    out.emplace_back(text[0] == ' ' ? blank_mark : text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  return out;
}

bool locale_is_utf8() {
  // The first of these that is set and not empty is used (POSIX, Environment Variables, 8.2).
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string lower = lower_case(value);
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace rapt::tasks

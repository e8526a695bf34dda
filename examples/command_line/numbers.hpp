// Checks of numbers on a command line, which say what is wrong in few words.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>

namespace rapt::examples {

/// Returns a check that a text is a finite number that `fits`. `wanted` says in words which do.
inline CLI::Validator number(const std::string& wanted, std::function<bool(double)> fits) {
  const auto value_of = [](const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    return text.empty() || *end != '\0' ? std::nan("") : value;
  };
  return CLI::Validator(
      [wanted, fits = std::move(fits), value_of](std::string& text) -> std::string {
        const double value = value_of(text);
        if (std::isfinite(value) && fits(value)) return "";
        std::string point = text;
        if (const std::size_t comma = point.find(','); comma != point.npos) point[comma] = '.';
        if (point != text && std::isfinite(value_of(point))) {
          return fmt::format("'{}' has a comma, write {}", text, point);
        }
        return std::isfinite(value) ? fmt::format("{} is out of range, expected {}", text, wanted)
                                    : fmt::format("'{}' is no number, expected {}", text, wanted);
      },
      "");
}

inline const CLI::Validator positive = number("a number above 0", [](double x) { return x > 0; });
inline const CLI::Validator not_negative =
    number("0 or a number above", [](double x) { return x >= 0; });

/// Returns a check that a number is in [low, high].
inline CLI::Validator between(double low, double high) {
  return number(fmt::format("{} to {}", low, high),
                [low, high](double x) { return x >= low && x <= high; });
}
inline const CLI::Validator share = between(0, 1);

}  // namespace rapt::examples

#include "framework/core/options.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "framework/core/error.hpp"

namespace rapt::internal {
namespace {

// NaN is not allowed anywhere, because every comparison with it is false.
template <class Number>
void check(bool allowed, std::string_view op, std::string_view option, Number value,
           const std::string& expected) {
  if (allowed) return;
  throw Error({.op = std::string(op),
               .detail = fmt::format("{} is {}, expected {}", option, value, expected)});
}

}  // namespace

void check_at_least(std::string_view op, std::string_view option, int64_t value, int64_t least) {
  if (value < least) check(false, op, option, value, fmt::format("{} or more", least));
}

void check_not_negative(std::string_view op, std::string_view option, double value) {
  check(value >= 0 && std::isfinite(value), op, option, value, "a finite number of 0 or more");
}

void check_positive(std::string_view op, std::string_view option, double value) {
  check(value > 0 && std::isfinite(value), op, option, value, "a finite number above 0");
}

void check_share(std::string_view op, std::string_view option, double value) {
  check(value >= 0 && value <= 1, op, option, value, "a number in [0, 1]");
}

void check_below_one(std::string_view op, std::string_view option, double value) {
  check(value >= 0 && value < 1, op, option, value, "a number in [0, 1)");
}

}  // namespace rapt::internal

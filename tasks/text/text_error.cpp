#include "tasks/text/text_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace rapt::tasks {

TextError::TextError(std::string path, std::int64_t line, const std::string& what)
    : std::runtime_error(line > 0 ? fmt::format("{}:{}: {}", path, line, what)
                                  : fmt::format("{}: {}", path, what)),
      path_(std::move(path)),
      line_(line) {}

void SkipReport::add(std::string_view what, const std::string& path, std::int64_t line,
                     std::string_view detail) {
  const auto known = std::find_if(reasons_.begin(), reasons_.end(),
                                  [&](const Reason& reason) { return reason.what == what; });
  if (known != reasons_.end()) {
    ++known->count;
  } else {
    reasons_.push_back(
        {std::string(what), 1, fmt::format("{}:{}", path, line), std::string(detail)});
  }
}

std::int64_t SkipReport::count() const {
  return std::accumulate(reasons_.begin(), reasons_.end(), std::int64_t{0},
                         [](std::int64_t sum, const Reason& reason) { return sum + reason.count; });
}

std::string SkipReport::message() const {
  if (reasons_.empty()) return "skipped none";
  std::string text = fmt::format("skipped {}: ", count());
  for (const Reason& reason : reasons_) {
    if (&reason != &reasons_.front()) text += ", ";
    text += fmt::format("{} with {} (first {}{}{})", reason.count, reason.what, reason.first,
                        reason.detail.empty() ? "" : ": ", reason.detail);
  }
  return text;
}

}  // namespace rapt::tasks

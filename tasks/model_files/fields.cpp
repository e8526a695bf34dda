#include "tasks/model_files/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

namespace rapt::tasks {

void FieldWriter::real(const char* name, double value, const char*) {
  entries[name] = fmt::format("{}", value);
}

void FieldWriter::list(const char* name, const char* count, const std::vector<std::int64_t>& values,
                       const char*) {
  entries[count] = std::to_string(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    entries[fmt::format("{}_{}", name, i)] = std::to_string(values[i]);
  }
}

const std::string& FieldReader::text(const std::string& name) const {
  static const std::string none;
  const auto found = entries_.find(name);
  return found == entries_.end() ? none : found->second;
}

void FieldReader::fail(const std::string& name, const std::string& what) const {
  throw FileError(fmt::format("{}: the entry '{}' of its metadata {}", path_, name, what));
}

std::int64_t FieldReader::size(const std::string& name) const {
  const std::string& value = text(name);
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (value.empty() || error != std::errc() || end != value.data() + value.size() || n < 0 ||
      n > (std::int64_t{1} << 24)) {
    fail(name, "is missing or no size");
  }
  return n;
}

void FieldReader::real(const char* name, double& value, const char*) {
  const std::string& given = text(name);
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
  if (given.empty() || error != std::errc() || end != given.data() + given.size()) {
    fail(name, "is missing or no number");
  }
}

void FieldReader::list(const char* name, const char* count, std::vector<std::int64_t>& values,
                       const char*) {
  const std::int64_t all = size(count);
  values.clear();
  // Each value is an entry of its own, so no more are made than the file has.
  for (std::int64_t i = 0; i < all; ++i) values.push_back(size(fmt::format("{}_{}", name, i)));
}

void FieldPrinter::add(const char* name, const std::string& value, const char* help) {
  const std::string_view all = help == nullptr ? "" : help;
  // The rest of a help is for those who choose a value.
  const std::string_view what = all.substr(0, all.find_first_of(":;"));
  text += fmt::format("  {:<16} {:<14} {}", name, value, what);
  text.erase(text.find_last_not_of(' ') + 1);
  text += '\n';
}

void FieldPrinter::real(const char* name, double value, const char* help) {
  add(name, fmt::format("{}", value), help);
}

void FieldPrinter::list(const char* name, const char*, const std::vector<std::int64_t>& values,
                        const char* help) {
  add(name, fmt::format("{}", fmt::join(values, " ")), help);
}

}  // namespace rapt::tasks

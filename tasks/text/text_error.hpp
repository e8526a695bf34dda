// What is wrong with an input file: one fault as an exception, or many faults counted.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

/// Thrown for an input file that cannot be used. `line` is 0 if the fault is not in one line. The
/// message starts with "file:line: " or "file: ".
class TextError : public std::runtime_error {
 public:
  TextError(std::string path, std::int64_t line, const std::string& what);
  const std::string& path() const { return path_; }
  std::int64_t line() const { return line_; }

 private:
  std::string path_;
  std::int64_t line_;
};

/// Counts of skipped lines by reason, with the first place of each reason.
class SkipReport {
 public:
  struct Reason {
    std::string what;
    std::int64_t count;
    std::string first;   // file:line
    std::string detail;  // of the first place; may be empty
  };

  void add(std::string_view what, const std::string& path, std::int64_t line,
           std::string_view detail = {});
  const std::vector<Reason>& reasons() const { return reasons_; }
  std::int64_t count() const;

  /// Returns text such as "skipped 3: 2 empty lines (first a.en:17), 1 invalid UTF-8 (first
  /// a.de:40)", or "skipped none".
  std::string message() const;

 private:
  std::vector<Reason> reasons_;
};

}  // namespace rapt::tasks

#include "tasks/scores/error_rate.hpp"

#include <fmt/format.h>

#include <limits>

#include "tasks/text/text.hpp"
#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

/// Errors of an alignment of two prefixes. Fewer errors are better, then more substitutions.
struct Path {
  std::int64_t errors = 0, substitutions = 0, deletions = 0, insertions = 0;

  bool operator<(const Path& other) const {
    return errors != other.errors ? errors < other.errors : substitutions > other.substitutions;
  }
};

std::vector<std::string> characters(std::string_view text) {
  return split_characters(fmt::format("{}", fmt::join(split_white_space(text), " ")));
}

std::string counted(std::int64_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

}  // namespace

double ErrorCounts::rate() const {
  if (errors() == 0) return 0;
  if (reference == 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(errors()) / static_cast<double>(reference);
}

ErrorCounts& ErrorCounts::operator+=(const ErrorCounts& other) {
  substitutions += other.substitutions;
  deletions += other.deletions;
  insertions += other.insertions;
  reference += other.reference;
  return *this;
}

ErrorCounts count_errors(std::span<const std::string> hypothesis,
                         std::span<const std::string> reference) {
  // row[j]: the first i tokens of the hypothesis against the first j of the reference.
  std::vector<Path> row(reference.size() + 1);
  for (std::size_t j = 1; j < row.size(); ++j) {
    row[j].errors = row[j].deletions = static_cast<std::int64_t>(j);
  }
  for (const std::string& token : hypothesis) {
    Path diagonal = row[0];
    ++row[0].errors;
    ++row[0].insertions;
    for (std::size_t j = 1; j < row.size(); ++j) {
      Path best = diagonal;
      if (token != reference[j - 1]) {
        ++best.errors;
        ++best.substitutions;
      }
      Path deleted = row[j - 1];
      ++deleted.errors;
      ++deleted.deletions;
      Path inserted = row[j];
      ++inserted.errors;
      ++inserted.insertions;
      if (deleted < best) best = deleted;
      if (inserted < best) best = inserted;
      diagonal = row[j];
      row[j] = best;
    }
  }
  const Path& all = row.back();
  return {all.substitutions, all.deletions, all.insertions,
          static_cast<std::int64_t>(reference.size())};
}

ErrorCounts word_errors(std::string_view hypothesis, std::string_view reference) {
  return count_errors(split_white_space(hypothesis), split_white_space(reference));
}

ErrorCounts character_errors(std::string_view hypothesis, std::string_view reference) {
  return count_errors(characters(hypothesis), characters(reference));
}

std::string describe(std::string_view name, const ErrorCounts& counts, std::string_view tokens) {
  return fmt::format("{} {:.2f}% ({}, {}, {}, {} {})", name, 100 * counts.rate(),
                     counted(counts.substitutions, "substitution"),
                     counted(counts.deletions, "deletion"), counted(counts.insertions, "insertion"),
                     counts.reference, tokens);
}

}  // namespace rapt::tasks

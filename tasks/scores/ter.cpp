#include "tasks/scores/ter.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <unordered_map>

#include "tasks/text/unicode.hpp"

namespace rapt::tasks {
namespace {

using Words = std::vector<int>;  // numbers of words

constexpr int longest_shift = 10, farthest_shift = 50, beam = 25, most_candidates = 1000;
constexpr int most_rows = 10'000;  // that are remembered

/// How a cell of the table of distances was reached, and what that says of the words there.
enum class Edit : char { none, keep, substitute, only_hypothesis, only_reference };

struct Cell {
  int cost = std::numeric_limits<int>::max() / 2;
  Edit edit = Edit::none;
};
using Row = std::vector<Cell>;

/// How hypothesis and reference correspond.
struct Alignment {
  int cost = 0;
  std::vector<int> at;  // for each word of the reference, the word of the hypothesis; may be -1
  std::vector<char> wrong_reference, wrong_hypothesis;
};

/// Levenshtein distances between one reference and hypotheses of one length, within a beam around
/// the diagonal. Hypotheses that differ by a shift share their beginnings. So rows are remembered
/// by the words that lead to them.
class Distances {
 public:
  explicit Distances(const Words& reference) : reference_(reference) {
    for (std::size_t j = 0; j <= reference.size(); ++j) {
      root_.row.push_back({static_cast<int>(j), Edit::only_reference});
    }
  }

  Alignment operator()(const Words& hypothesis) {
    const std::size_t rows = hypothesis.size(), columns = reference_.size();
    std::vector<const Row*> table{&root_.row};
    std::vector<Row> own;  // rows that are not remembered
    own.reserve(rows);
    Node* node = &root_;
    const double ratio = rows == 0 ? 1 : static_cast<double>(columns) / static_cast<double>(rows);
    const int width = beam < ratio / 2 ? static_cast<int>(std::ceil(ratio / 2 + beam)) : beam;
    const bool may_remember = remembered_ < most_rows;
    for (std::size_t i = 1; i <= rows; ++i) {
      const int word = hypothesis[i - 1];
      if (node != nullptr) {
        if (const auto found = node->next.find(word); found != node->next.end()) {
          node = found->second.get();
          table.push_back(&node->row);
          continue;
        }
      }
      Row row = next_row(*table.back(), word, i, i == rows, ratio, width);
      if (node != nullptr && may_remember) {
        auto& next = node->next[word];
        next = std::make_unique<Node>();
        next->row = std::move(row);
        node = next.get();
        ++remembered_;
        table.push_back(&node->row);
      } else {
        node = nullptr;
        own.push_back(std::move(row));
        table.push_back(&own.back());
      }
    }
    return traced(table);
  }

 private:
  struct Node {
    Row row;
    std::map<int, std::unique_ptr<Node>> next;
  };

  Row next_row(const Row& above, int word, std::size_t i, bool last, double ratio,
               int width) const {
    const int columns = static_cast<int>(reference_.size());
    const int diagonal = static_cast<int>(std::floor(static_cast<double>(i) * ratio));
    const int first = std::max(0, diagonal - width);
    const int end = last ? columns + 1 : std::min(columns + 1, diagonal + width);
    Row row(static_cast<std::size_t>(columns) + 1);
    for (int column = first; column < end; ++column) {
      const auto j = static_cast<std::size_t>(column);
      Cell& cell = row[j];
      if (j == 0) {
        cell = {above[0].cost + 1, Edit::only_hypothesis};
        continue;
      }
      const bool same = word == reference_[j - 1];
      const auto offer = [&](int cost, Edit edit) {
        if (cost < cell.cost) cell = {cost, edit};
      };
      offer(above[j - 1].cost + (same ? 0 : 1), same ? Edit::keep : Edit::substitute);
      offer(above[j].cost + 1, Edit::only_hypothesis);
      offer(row[j - 1].cost + 1, Edit::only_reference);
    }
    return row;
  }

  Alignment traced(const std::vector<const Row*>& table) const {
    std::vector<Edit> edits;
    std::size_t i = table.size() - 1, j = reference_.size();
    while (i > 0 || j > 0) {
      const Edit edit = (*table[i])[j].edit;
      if (edit == Edit::none) throw std::logic_error("TER: a distance outside of the beam");
      edits.push_back(edit);
      if (edit != Edit::only_reference) --i;
      if (edit != Edit::only_hypothesis) --j;
    }
    Alignment found;
    found.cost = table.back()->back().cost;
    int at = -1;
    for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
      const bool wrong = *edit != Edit::keep;
      if (*edit != Edit::only_reference) {
        ++at;
        found.wrong_hypothesis.push_back(wrong);
      }
      if (*edit != Edit::only_hypothesis) {
        found.at.push_back(at);
        found.wrong_reference.push_back(wrong);
      }
    }
    return found;
  }

  const Words& reference_;
  Node root_;
  int remembered_ = 0;
};

Words shifted(const Words& words, int start, int length, int target) {
  Words rest(words.begin(), words.begin() + start);
  rest.insert(rest.end(), words.begin() + start + length, words.end());
  // A target behind the sequence loses its length. One within it is counted from its start.
  const int place = target < start            ? target
                    : target > start + length ? target - length
                                              : std::min(target, static_cast<int>(rest.size()));
  rest.insert(rest.begin() + place, words.begin() + start, words.begin() + start + length);
  return rest;
}

bool any(const std::vector<char>& flags, int first, int count) {
  return std::any_of(flags.begin() + first, flags.begin() + first + count,
                     [](char flag) { return flag != 0; });
}

/// Replaces `words` by the best shift, and returns by how much fewer edits remain. `tried` counts
/// the shifts that were compared.
int best_shift(Words& words, const Words& reference, Distances& distances, int& tried) {
  const Alignment before = distances(words);
  using Rank = std::tuple<int, int, int, int, Words>;
  std::optional<Rank> best;
  const int n = static_cast<int>(words.size()), m = static_cast<int>(reference.size());
  /// Tries to move a sequence to every place beside the words that it matches.
  const auto try_targets = [&](int from, int to, int length) {
    int last = -1;
    for (int offset = -1; offset < length; ++offset) {
      if (to + offset >= m) break;
      const int target = to + offset < 0 ? 0 : before.at[static_cast<std::size_t>(to + offset)] + 1;
      if (target == last) continue;
      last = target;
      Words candidate = shifted(words, from, length, target);
      const int gain = before.cost - distances(candidate).cost;
      ++tried;
      // More gain first, then longer sequences, then earlier ones, then earlier targets.
      Rank rank{gain, length, -from, -target, std::move(candidate)};
      if (!best || rank > *best) best = std::move(rank);
    }
  };
  for (int from = 0; from < n; ++from) {
    for (int to = 0; to < m; ++to) {
      if (std::abs(to - from) > farthest_shift) continue;
      for (int length = 1; length <= longest_shift; ++length) {
        if (from + length > n || to + length > m) break;
        const auto k = static_cast<std::size_t>(length - 1);
        if (words[static_cast<std::size_t>(from) + k] !=
            reference[static_cast<std::size_t>(to) + k])
          break;
        const int at = before.at[static_cast<std::size_t>(to)];
        if (!any(before.wrong_hypothesis, from, length)) continue;
        if (!any(before.wrong_reference, to, length)) continue;
        if (from <= at && at < from + length) continue;
        try_targets(from, to, length);
        if (tried >= most_candidates) {
          if (!best) return 0;
          words = std::get<4>(*best);
          return std::get<0>(*best);
        }
      }
    }
  }
  if (!best) return 0;
  words = std::get<4>(*best);
  return std::get<0>(*best);
}

}  // namespace

long ter_edits(std::span<const std::string> hypothesis, std::span<const std::string> reference) {
  if (reference.empty()) return static_cast<long>(hypothesis.size());
  std::unordered_map<std::string_view, int> numbers;
  const auto numbered = [&](std::span<const std::string> words) {
    Words out;
    for (const std::string& word : words) {
      out.push_back(numbers.try_emplace(word, static_cast<int>(numbers.size())).first->second);
    }
    return out;
  };
  const Words right = numbered(reference);
  Words words = numbered(hypothesis);
  Distances distances(right);
  long shifts = 0;
  for (int tried = 0;;) {
    Words moved = words;
    const int gain = best_shift(moved, right, distances, tried);
    if (tried >= most_candidates || gain <= 0) break;
    words = std::move(moved);
    ++shifts;
  }
  return shifts + distances(words).cost;
}

std::vector<double> ter_statistics(std::string_view hypothesis,
                                   std::span<const std::string> references, bool lower) {
  if (references.empty()) throw std::invalid_argument("TER needs references");
  const auto words = [&](std::string_view line) {
    return split_white_space(lower ? to_lower(line) : std::string(line));
  };
  const std::vector<std::string> own = words(hypothesis);
  long fewest = std::numeric_limits<long>::max();
  double length = 0;
  for (const std::string& reference : references) {
    const std::vector<std::string> right = words(reference);
    fewest = std::min(fewest, ter_edits(own, right));
    length += static_cast<double>(right.size());
  }
  return {static_cast<double>(fewest), length / static_cast<double>(references.size())};
}

double ter_of(std::span<const double> statistics) {
  const double edits = statistics[0], length = statistics[1];
  if (length > 0) return 100 * edits / length;
  return edits > 0 ? 100 : 0;
}

}  // namespace rapt::tasks

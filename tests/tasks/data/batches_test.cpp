#include "tasks/data/batches.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "tasks/data/prefetch.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::tasks;

TEST_CASE("Batches hold every sentence once, in nearly equal lengths") {
  std::vector<PairLength> lengths;
  std::uint32_t state = 3;
  for (int i = 0; i < 1003; ++i) {
    state = state * 1664525u + 1013904223u;
    const auto target = static_cast<std::int32_t>(1 + (state >> 16) % 20);
    lengths.push_back({target + static_cast<std::int32_t>((state >> 26) % 4), target});
  }
  const Batches batches = make_batches(lengths, {16}, 5, 0);
  CHECK(batches.sentences.size() == 63);
  std::vector<std::int64_t> seen;
  std::int64_t positions = 0, used = 0, small = 0;
  for (const auto& batch : batches.sentences) {
    small += batch.size() < 16;
    std::int64_t longest_source = 0, longest_target = 0;
    for (const std::int64_t i : batch) {
      const PairLength l = lengths[static_cast<std::size_t>(i)];
      longest_source = std::max<std::int64_t>(longest_source, l.source);
      longest_target = std::max<std::int64_t>(longest_target, l.target);
      used += l.source + l.target;
      seen.push_back(i);
    }
    positions += static_cast<std::int64_t>(batch.size()) * (longest_source + longest_target);
  }
  CHECK(small == 1);
  std::sort(seen.begin(), seen.end());
  std::vector<std::int64_t> all(lengths.size());
  std::iota(all.begin(), all.end(), 0);
  CHECK(seen == all);
  CHECK(batches.padding == Approx(1 - static_cast<double>(used) / static_cast<double>(positions)));
  // Batches in the order of the file are the measure of what the sorting saves.
  std::int64_t unsorted = 0;
  for (std::size_t first = 0; first < lengths.size(); first += 16) {
    const std::size_t end = std::min(first + 16, lengths.size());
    std::int32_t source = 0, target = 0;
    for (std::size_t i = first; i < end; ++i) {
      source = std::max(source, lengths[i].source);
      target = std::max(target, lengths[i].target);
    }
    unsorted += static_cast<std::int64_t>(end - first) * (source + target);
  }
  CHECK(10 * (positions - used) < unsorted - used);

  CHECK(make_batches(lengths, {16}, 5, 0).sentences == batches.sentences);
  CHECK(make_batches(lengths, {16}, 5, 1).sentences != batches.sentences);
  CHECK(make_batches(lengths, {16}, 6, 0).sentences != batches.sentences);
  // Neither is the order of the batches by length, nor are the same sentences together again.
  const auto as_sets = [](const Batches& b) {
    std::set<std::set<std::int64_t>> sets;
    for (const auto& batch : b.sentences) sets.emplace(batch.begin(), batch.end());
    return sets;
  };
  CHECK(as_sets(make_batches(lengths, {16}, 5, 1)) != as_sets(batches));
  CHECK_FALSE(std::is_sorted(batches.sentences.begin(), batches.sentences.end(),
                             [&](const auto& a, const auto& b) {
                               return lengths[static_cast<std::size_t>(a[0])].target <
                                      lengths[static_cast<std::size_t>(b[0])].target;
                             }));
}

TEST_CASE("Batches of odd sizes") {
  CHECK(make_batches({}, {4}, 0, 0).sentences.empty());
  CHECK(make_batches({}, {4}, 0, 0).padding == 0);
  const std::vector<PairLength> one = {{3, 4}};
  CHECK(make_batches(one, {4}, 0, 0).sentences == std::vector<std::vector<std::int64_t>>{{0}});
  const std::vector<PairLength> two = {{1, 4}, {3, 4}};
  CHECK(make_batches(two, {2}, 0, 0).padding == Approx(2.0 / 14));
  CHECK(make_batches(two, {1}, 0, 0).padding == 0);
  const std::vector<PairLength> mixed = {{1, 5}, {9, 5}, {1, 5}, {9, 5}, {9, 5}, {1, 5}};
  CHECK(make_batches(mixed, {3}, 0, 0).padding == 0);
  CHECK_THROWS_AS(make_batches(two, {0}, 0, 0), std::invalid_argument);
}

TEST_CASE("A budget of tokens holds for the longer side, padding counted") {
  std::vector<PairLength> lengths;
  std::uint32_t state = 9;
  for (int i = 0; i < 700; ++i) {
    state = state * 1664525u + 1013904223u;
    lengths.push_back({static_cast<std::int32_t>(1 + (state >> 16) % 30),
                       static_cast<std::int32_t>(1 + (state >> 24) % 25)});
  }
  lengths.push_back({1, 301});  // over the budget by itself
  const std::int64_t budget = 300;
  const auto places = [&](const std::vector<std::int64_t>& batch) {
    std::int64_t longest = 0;
    for (const std::int64_t i : batch) {
      const PairLength l = lengths[static_cast<std::size_t>(i)];
      longest = std::max<std::int64_t>({longest, l.source, l.target});
    }
    return longest * static_cast<std::int64_t>(batch.size());
  };
  const Batches batches = make_batches(lengths, {.sentences = 0, .tokens = budget}, 1, 2);
  std::size_t seen = 0, alone = 0, well_filled = 0;
  for (const auto& batch : batches.sentences) {
    seen += batch.size();
    if (places(batch) > budget) {
      ++alone;
      CHECK(batch == std::vector<std::int64_t>{700});
    }
    well_filled += places(batch) > budget * 3 / 4;
  }
  CHECK(seen == lengths.size());
  CHECK(alone == 1);
  CHECK(2 * well_filled > batches.sentences.size());
  // The number of batches does not depend on the epoch: a schedule may count on it.
  CHECK(make_batches(lengths, {.sentences = 0, .tokens = budget}, 1, 3).sentences.size() ==
        batches.sentences.size());
  // Both limits hold together.
  for (const auto& batch :
       make_batches(lengths, {.sentences = 7, .tokens = budget}, 1, 2).sentences) {
    CHECK(batch.size() <= 7);
    CHECK((places(batch) <= budget || batch.size() == 1));
  }
  CHECK_THROWS_AS(make_batches(lengths, {.sentences = 0, .tokens = -1}, 1, 2),
                  std::invalid_argument);
}

TEST_CASE("Results made ahead come in order, no more of them than asked") {
  std::atomic<int> made{0};
  Prefetch<int> ahead(3, [&, i = 0]() mutable -> std::optional<int> {
    if (i == 100) return std::nullopt;
    ++made;
    return i++;
  });
  for (int i = 0; i < 100; ++i) {
    REQUIRE(ahead.next() == i);
    CHECK(made <= i + 1 + 3 + 1);  // one may be under way
  }
  CHECK_FALSE(ahead.next().has_value());
  CHECK_FALSE(ahead.next().has_value());
  CHECK(made == 100);
}

TEST_CASE("What the thread throws arrives in its place, and then there is no more") {
  Prefetch<std::string> ahead(2, [i = 0]() mutable -> std::optional<std::string> {
    if (i == 3) throw std::runtime_error("line 3 is bad");
    return std::to_string(i++);
  });
  for (const char* text : {"0", "1", "2"}) CHECK(ahead.next() == text);
  CHECK_THROWS_WITH(ahead.next(), "line 3 is bad");
  CHECK_FALSE(ahead.next().has_value());
}

TEST_CASE("Leaving early ends the thread") {
  for (int i = 0; i < 50; ++i) {
    Prefetch<int> endless(4, [n = 0]() mutable -> std::optional<int> { return n++; });
    if (i % 2 == 0) CHECK(endless.next() == 0);
  }
}

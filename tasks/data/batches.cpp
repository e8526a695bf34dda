#include "tasks/data/batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "tasks/data/hash.hpp"

namespace rapt::tasks {

Batches make_batches(std::span<const PairLength> lengths, const BatchLimits& limits,
                     std::uint64_t seed, std::uint64_t epoch) {
  if (limits.sentences < 0 || limits.tokens < 0 || limits.sentences + limits.tokens == 0) {
    throw std::invalid_argument(fmt::format("a batch of at most {} sentences and {} tokens",
                                            limits.sentences, limits.tokens));
  }
  const auto length = [&](std::int64_t i) { return lengths[static_cast<std::size_t>(i)]; };
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const std::uint64_t key = hash(seed, epoch);
  shuffle(order, key);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    const PairLength x = length(a), y = length(b);
    return std::tie(x.target, x.source) < std::tie(y.target, y.source);
  });

  Batches result{{}, 0};
  std::int64_t positions = 0, padded = 0, used = 0;
  std::vector<std::int64_t> batch;
  PairLength longest{0, 0};
  const auto close = [&] {
    const auto rows = static_cast<std::int64_t>(batch.size());
    const std::int64_t rectangle = rows * (std::int64_t{longest.source} + longest.target);
    positions += rectangle;
    padded += rectangle - used;
    result.sentences.push_back(std::move(batch));
    batch.clear();
    longest = {0, 0};
    used = 0;
  };
  for (const std::int64_t i : order) {
    const PairLength l = length(i);
    const PairLength grown{std::max(longest.source, l.source), std::max(longest.target, l.target)};
    const auto rows = static_cast<std::int64_t>(batch.size()) + 1;
    const bool full =
        (limits.sentences > 0 && rows > limits.sentences) ||
        (limits.tokens > 0 && rows * std::max(grown.source, grown.target) > limits.tokens);
    if (full && !batch.empty()) close();
    batch.push_back(i);
    longest = {std::max(longest.source, l.source), std::max(longest.target, l.target)};
    used += std::int64_t{l.source} + l.target;
  }
  if (!batch.empty()) close();
  shuffle(result.sentences, hash(key, 1));
  if (positions > 0) {
    result.padding = static_cast<double>(padded) / static_cast<double>(positions);
  }
  return result;
}

}  // namespace rapt::tasks

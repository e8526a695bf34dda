// Groups sentence pairs into training batches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rapt::tasks {

struct PairLength {
  std::int32_t source, target;
};

/// Limits on the size of a batch; 0: no limit of that kind.
struct BatchLimits {
  std::int64_t sentences = 64;
  std::int64_t tokens = 0;  // positions of the larger side, with padding
};

struct Batches {
  std::vector<std::vector<std::int64_t>> sentences;  // indices of sentence pairs, batch by batch
  double padding;  // share of padded positions, both sides, [0, 1)
};

/// Returns batches of pairs of nearly equal lengths, in random order. The pairs are shuffled,
/// sorted by (target, source) length, and cut where a limit would be exceeded. Then the batches are
/// shuffled. The result depends only on (seed, epoch); every epoch has the same number of batches.
/// A pair that alone exceeds the limit of tokens is a batch of its own. Throws
/// std::invalid_argument for a negative limit, and if there is no limit.
Batches make_batches(std::span<const PairLength> lengths, const BatchLimits& limits,
                     std::uint64_t seed, std::uint64_t epoch);

}  // namespace rapt::tasks

// Which sentences are learned from together, and in which order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rapt::examples {

struct PairLength {
  std::int32_t source, target;
};

/// How large a batch may be; 0: no limit of that kind.
struct BatchLimits {
  std::int64_t sentences = 64;
  std::int64_t tokens = 0;  // places of the larger side, padding counted
};

struct Batches {
  std::vector<std::vector<std::int64_t>> sentences;  // indices of sentence pairs, batch by batch
  double padding;  // share of padded positions, both sides, [0, 1)
};

/// Batches of pairs of nearly equal lengths, in random order. The pairs are shuffled, sorted by
/// (target, source) length, cut where a limit would be passed, and the batches shuffled: the same
/// for the same (seed, epoch), different for another, as many in every epoch. A pair that is over
/// the limit of tokens by itself is a batch of its own. Throws std::invalid_argument for a negative
/// limit and where there is none.
Batches make_batches(std::span<const PairLength> lengths, const BatchLimits& limits,
                     std::uint64_t seed, std::uint64_t epoch);

}  // namespace rapt::examples

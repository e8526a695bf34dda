// Random numbers without hidden state: each draw is a function of a key and an index.
#pragma once

#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/tensor.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Names a stream of random numbers. Keys are values. The same key gives the same numbers on every
/// machine, in any order and on any number of threads.
struct Key {
  uint64_t seed = 0;
  uint64_t path = 0;

  /// Returns an independent key, for the i-th of several uses.
  Key fold(uint64_t i) const;
  /// Returns the 32 random bits at this index of the stream.
  uint32_t bits(uint64_t index) const;
  /// Returns a number that is uniform in [0, 1), with 32 bits.
  double uniform(uint64_t index) const { return bits(index) * 0x1p-32; }
  /// Returns an integer that is uniform in 0 .. n-1 (n below 2^32).
  int64_t below(int64_t n, uint64_t index) const {
    return static_cast<int64_t>((static_cast<uint64_t>(bits(index)) * static_cast<uint64_t>(n)) >>
                                32);
  }
};

/// Draws independently from the uniform distribution on [low, high).
Tensor uniform(Key key, const Shape& shape, double low = 0, double high = 1,
               DType dtype = DType::float32);
/// Draws independently from the normal distribution.
Tensor normal(Key key, const Shape& shape, double mean = 0, double stddev = 1,
              DType dtype = DType::float32);
/// Returns the numbers 0 .. n-1 in random order.
std::vector<int64_t> permutation(Key key, int64_t n);

}  // namespace v0
}  // namespace rapt

// Randomness without state. The bits of element `index` of a random array are a pure function of
// the array's key and the index. They can therefore be computed repeatedly, anywhere and in any
// order.
//
// The function hashes the index's low word in three multiply-and-shift rounds (the constants of
// triple32, C. Wellons, "Hash function prospector"). It adds a word before each round and after the
// last. The finaliser of SplitMix64 derives these words from the key and the index's high word.
//
// The functions are always inlined. Kernels for other instruction sets include them too, and must
// not emit a copy that the linker could share.
#pragma once

#include <cstdint>

#include "framework/core/internal.hpp"

#if defined(__GNUC__)
#define RAPT_ALWAYS_INLINE [[gnu::always_inline]] inline
#else
#define RAPT_ALWAYS_INLINE inline
#endif

namespace rapt::internal {

/// The words that the rounds add, for one key and one high word of the index.
struct RandomSchedule {
  uint32_t word[4];
};

inline constexpr uint32_t random_multiplier[3] = {0xed5ad4bbu, 0xac4c1b51u, 0x31848babu};
inline constexpr int random_shift[4] = {17, 11, 15, 14};

RAPT_ALWAYS_INLINE constexpr uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

RAPT_ALWAYS_INLINE constexpr RandomSchedule random_schedule(uint64_t key0, uint64_t key1,
                                                            uint32_t index_high) {
  const uint64_t a = mix_bits(key0 + 0x9e3779b97f4a7c15u);
  const uint64_t b = mix_bits(a ^ (key1 + 0xd1b54a32d192ed03u));
  const uint64_t c = mix_bits(b + 0x8cb92ba72f3d8dd7u * (uint64_t(index_high) + 1));
  const uint64_t d = mix_bits(c + a);
  return {{uint32_t(c), uint32_t(c >> 32), uint32_t(d), uint32_t(d >> 32)}};
}

RAPT_ALWAYS_INLINE constexpr uint32_t random_bits(const RandomSchedule& s, uint32_t index_low) {
  uint32_t x = index_low + s.word[0];
  x = (x ^ (x >> random_shift[0])) * random_multiplier[0] + s.word[1];
  x = (x ^ (x >> random_shift[1])) * random_multiplier[1] + s.word[2];
  x = (x ^ (x >> random_shift[2])) * random_multiplier[2] + s.word[3];
  return x ^ (x >> random_shift[3]);
}

/// Returns 32 uniform bits for element `index` of the random array that the two key words name.
RAPT_ALWAYS_INLINE constexpr uint32_t random_bits(uint64_t key0, uint64_t key1, uint64_t index) {
  return random_bits(random_schedule(key0, key1, uint32_t(index >> 32)), uint32_t(index));
}

/// Returns the threshold for dropout of probability p (0 <= p <= 1). Elements are kept if their
/// bits reach it: all for p = 0, none for p = 1.
RAPT_ALWAYS_INLINE constexpr uint64_t dropout_threshold(double p) {
  return uint64_t(p * 4294967296.0);
}

}  // namespace rapt::internal

// A vectorised version of framework/core/random_bits.hpp with the same bits.
#pragma once

#include "framework/core/random_bits.hpp"
#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Returns random_bits(schedule, low) for each lane.
inline Vec<uint32_t> random_bits(const RandomSchedule& s, Vec<uint32_t> low) {
  using V = Vec<uint32_t>;
  V x = low + V(s.word[0]);
  x = (x ^ (x >> random_shift[0])) * V(random_multiplier[0]) + V(s.word[1]);
  x = (x ^ (x >> random_shift[1])) * V(random_multiplier[1]) + V(s.word[2]);
  x = (x ^ (x >> random_shift[2])) * V(random_multiplier[2]) + V(s.word[3]);
  return x ^ (x >> random_shift[3]);
}

/// Writes the random bits of elements index .. index + n - 1 to `out`. `out` must have room for n
/// rounded up to whole vectors of uint32_t.
inline void fill_random_bits(uint32_t* out, int64_t n, uint64_t key0, uint64_t key1,
                             uint64_t index) {
  using V = Vec<uint32_t>;
  constexpr int64_t L = lanes<uint32_t>;
  alignas(64) uint32_t step[L];
  for (int64_t i = 0; i < L; ++i) step[i] = static_cast<uint32_t>(i);
  const V lane = V::load_aligned(step);
  RandomSchedule schedule = random_schedule(key0, key1, static_cast<uint32_t>(index >> 32));
  for (int64_t i = 0; i < n; i += L) {
    const uint64_t first = index + static_cast<uint64_t>(i);
    const uint64_t last = first + static_cast<uint64_t>(L - 1);
    if ((first >> 32) == (last >> 32)) {
      if (static_cast<uint32_t>(first) < static_cast<uint32_t>(L)) {
        schedule = random_schedule(key0, key1, static_cast<uint32_t>(first >> 32));
      }
      store(out + i, random_bits(schedule, V(static_cast<uint32_t>(first)) + lane));
    } else {
      for (int64_t k = 0; k < L; ++k) {
        out[i + k] = rapt::random_bits(key0, key1, first + static_cast<uint64_t>(k));
      }
    }
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA

// The primitives with NEON, most of them portable. No machine with NEON has tuned them yet.
#pragma once

#include "ops/kernels/simd/sets/portable.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

using namespace portable;

inline void transpose_four(const uint32_t* from, uint32_t* to, int64_t from_column,
                           int64_t to_row) {
  const auto column = [&](int64_t j) { return vld1q_u32(from + j * from_column); };
  const auto put = [&](int64_t r, uint64x2_t v) {
    vst1q_u32(to + r * to_row, vreinterpretq_u32_u64(v));
  };
  const uint64x2_t low01 = vreinterpretq_u64_u32(vzip1q_u32(column(0), column(1)));
  const uint64x2_t low23 = vreinterpretq_u64_u32(vzip1q_u32(column(2), column(3)));
  const uint64x2_t high01 = vreinterpretq_u64_u32(vzip2q_u32(column(0), column(1)));
  const uint64x2_t high23 = vreinterpretq_u64_u32(vzip2q_u32(column(2), column(3)));
  put(0, vzip1q_u64(low01, low23));
  put(1, vzip2q_u64(low01, low23));
  put(2, vzip1q_u64(high01, high23));
  put(3, vzip2q_u64(high01, high23));
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA

// Base header of every kernel source: the instruction set it is compiled for, its abilities, the
// vector types, and the primitives that need intrinsics.
//
// A kernel source is compiled once per instruction set. All its definitions are in
// rapt::kernels::RAPT_KERNEL_ISA, so that the copies are distinct. Kernel sources use raw pointers
// and xsimd only. An inline function of a standard container compiled here could be the copy that
// the linker keeps for the whole program, and would crash an older processor.
//
// sets/abilities.hpp has the table of the sets and sets/portable.hpp the list of the primitives.
#pragma once

#include "ops/kernels/simd/sets/abilities.hpp"
#include "ops/kernels/simd/sets/vector.hpp"

#if defined(RAPT_KERNEL_ISA_avx512)
#include "ops/kernels/simd/sets/avx512.hpp"
#elif defined(RAPT_KERNEL_ISA_avx2)
#include "ops/kernels/simd/sets/avx2.hpp"
#elif defined(__x86_64__)
#include "ops/kernels/simd/sets/sse2.hpp"
#else
#include "ops/kernels/simd/sets/neon.hpp"
#endif

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Number of steps of transpose_strip().
inline constexpr int64_t strip_steps = 8;

/// Returns the sum of a vector's lanes, added in a fixed order.
template <class T>
inline T sum_lanes(const Vec<T>& v) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(v);
#else
  return xsimd::hadd(v);
#endif
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA

// What the kernels ask of an instruction set, and the answers for each.
//
// A new set gets abilities below, a choice in the #if behind them and a header of primitives
// that simd.hpp includes. Kernels ask `isa` with `if constexpr` and never look at macros.
#pragma once

#include <cstdint>

// g++ 12 falsely warns about the undefined operands of its own AVX-512 intrinsics.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace rapt::kernels::RAPT_KERNEL_ISA {

struct Abilities {
  int registers;                 ///< Number of vector registers.
  bool masks = false;            ///< Masked loads and stores are as fast as whole ones.
  bool halves = false;           ///< Half a vector costs half: load_half(), store_half().
  bool sums_sixteen = false;     ///< Has sum_sixteen().
  bool scales = false;           ///< Has scale_by_power().
  bool strips = false;           ///< Has transpose_strip().
  bool transposes_four = false;  ///< Has transpose_four().
  bool prefetches_b = false;     ///< Tiles have time to prefetch any B, not only a distant one.
  int dot_rows;                  ///< Rows of a tile of dot products, which has 4 columns.
  /// Vectors of a register tile of the matrix product, by its rows, up to the first 0.
  /// Accumulators, one row of B and one element of A stay in registers. Tiles with few rows are
  /// wide: products with few rows are limited by reading B, and long stretches of its rows are read
  /// faster. Tiles with many rows keep the processor busy if B is narrow.
  int tile_vectors[15];
};

inline constexpr Abilities sse2_abilities{.registers = 16,
                                          .transposes_four = true,
                                          .prefetches_b = true,
                                          .dot_rows = 2,
                                          .tile_vectors = {8, 6, 4, 3, 2, 2}};
inline constexpr Abilities neon_abilities{.registers = 32,
                                          .transposes_four = true,
                                          .prefetches_b = true,
                                          .dot_rows = 4,
                                          .tile_vectors = {8, 8, 8, 6, 4, 4}};
inline constexpr Abilities avx2_abilities{.registers = 16,
                                          .transposes_four = true,
                                          .prefetches_b = true,
                                          .dot_rows = 3,
                                          .tile_vectors = {8, 6, 4, 3, 2, 2}};
inline constexpr Abilities avx512_abilities{
    .registers = 32,
    .masks = true,
    .halves = true,
    .sums_sixteen = true,
    .scales = true,
    .strips = true,
    .transposes_four = true,
    .dot_rows = 4,
    .tile_vectors = {8, 8, 8, 6, 5, 4, 3, 3, 3, 2, 2, 2, 2, 2}};

// Arch is xsimd's name of the set. ShortArch has half of its vector length if `halves`. No other
// instruction set's vectors have that type: a function that two sets shared could be linked as
// compiled for the higher one.
#if defined(RAPT_KERNEL_ISA_avx512)
using Arch = xsimd::avx512bw;
using ShortArch = xsimd::avx2;
inline constexpr const Abilities& isa = avx512_abilities;
#elif defined(RAPT_KERNEL_ISA_avx2)
using Arch = xsimd::fma3<xsimd::avx2>;
using ShortArch = Arch;
inline constexpr const Abilities& isa = avx2_abilities;
#elif defined(__x86_64__)
using Arch = xsimd::sse2;
using ShortArch = Arch;
inline constexpr const Abilities& isa = sse2_abilities;
#else
using Arch = xsimd::neon64;
using ShortArch = Arch;
inline constexpr const Abilities& isa = neon_abilities;
#endif

}  // namespace rapt::kernels::RAPT_KERNEL_ISA

// Run-time selection of kernels.
//
// A family of kernels is a plain struct of function pointers (its table), declared in the family's
// header and followed by RAPT_KERNEL_TABLE. The family's source is compiled once per instruction
// set and defines one constant table in that set's namespace. kernels<Table>() returns the table
// that fits the processor, or the one that RAPT_ISA asks for.
#pragma once

#include <type_traits>

#include "framework/core/cpu.hpp"

namespace rapt::kernels {

/// Returns the table of a kernel family for the active instruction set.
template <class Table>
const Table& kernels();

/// Returns the table's member for T: f32 or f64.
template <class Table, class T>
const auto& kernels_for() {
  const Table& table = kernels<Table>();
  if constexpr (std::is_same_v<T, float>) {
    return table.f32;
  } else {
    static_assert(std::is_same_v<T, double>, "there are kernels for float and double");
    return table.f64;
  }
}

}  // namespace rapt::kernels

#if defined(__x86_64__) || defined(_M_X64)
#define RAPT_KERNEL_TABLE(Table)         \
  namespace baseline {                   \
  extern const Table table_##Table;      \
  }                                      \
  namespace avx2 {                       \
  extern const Table table_##Table;      \
  }                                      \
  namespace avx512 {                     \
  extern const Table table_##Table;      \
  }                                      \
  template <>                            \
  inline const Table& kernels<Table>() { \
    switch (active_isa()) {              \
      case Isa::avx512:                  \
        return avx512::table_##Table;    \
      case Isa::avx2:                    \
        return avx2::table_##Table;      \
      default:                           \
        return baseline::table_##Table;  \
    }                                    \
  }
#else
#define RAPT_KERNEL_TABLE(Table)              \
  namespace baseline {                        \
  extern const Table table_##Table;           \
  }                                           \
  template <>                                 \
  inline const Table& kernels<Table>() {      \
    (void)active_isa(); /* checks RAPT_ISA */ \
    return baseline::table_##Table;           \
  }
#endif

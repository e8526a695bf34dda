// The instruction set that the kernels use.
#pragma once

#include <string_view>

#include "framework/core/internal.hpp"

namespace rapt::internal {

/// The instruction sets for which kernels are built, in ascending order. Every processor of the
/// architecture has `baseline`: SSE2 on x86-64, NEON on AArch64.
enum class Isa { baseline, avx2, avx512 };

std::string_view name(Isa isa);

/// Returns the best set that this processor and this operating system support.
Isa detected_isa();

/// Returns the set in use: detected_isa(), or a lower one that the environment variable RAPT_ISA
/// names (baseline, avx2, avx512). The variable is read once. Throws rapt::Error if RAPT_ISA names
/// no set, or one that this processor lacks.
Isa active_isa();

/// True if large results should be written with non-temporal stores, which is the case on AMD
/// processors. Such stores of one core are as fast there as ordinary ones, and do not fetch the
/// memory that is overwritten. On an Intel Xeon, a pass over rows was slower with them.
bool prefers_streaming_stores();

}  // namespace rapt::internal

// Which instruction set the kernels use.
#pragma once

#include <string_view>

namespace rapt {

/// The instruction sets that kernels are built for, in rising order. `baseline` is what every
/// processor of the architecture has: SSE2 on x86-64, NEON on AArch64.
enum class Isa { baseline, avx2, avx512 };

std::string_view name(Isa isa);

/// The best set that this processor and this operating system support.
Isa detected_isa();

/// The set in use: detected_isa(), or a lower one that the environment variable RAPT_ISA names
/// (baseline, avx2, avx512), read once. Throws rapt::Error where RAPT_ISA names no set, or one
/// that this processor lacks.
Isa active_isa();

/// Whether large results are better written past the caches: so on AMD's processors, where one
/// core's streaming stores are as fast as others and spare the memory the fetching of what is
/// overwritten. On an Intel Xeon a pass over rows was slower with them.
bool prefers_streaming_stores();

}  // namespace rapt

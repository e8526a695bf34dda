#include "framework/core/cpu.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "framework/core/error.hpp"

namespace rapt::internal {

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

Isa detected_isa() {
#if defined(__x86_64__)
  // The compiler's check also asks the operating system if it saves the wide registers.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512cd")) {
    return Isa::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::baseline;
}

static Isa choose_isa() {
  const Isa best = detected_isa();
  const char* forced = std::getenv("RAPT_ISA");
  if (forced == nullptr || *forced == '\0') return best;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (name(isa) != forced) continue;
    if (isa > best) {
      throw Error(
          {.op = "RAPT_ISA",
           .detail = fmt::format("this processor has no {}; its best is {}", forced, name(best))});
    }
    return isa;
  }
  throw Error({.op = "RAPT_ISA",
               .detail = fmt::format("expected baseline, avx2 or avx512, got '{}'", forced)});
}

Isa active_isa() {
  static const Isa isa = choose_isa();
  return isa;
}

bool prefers_streaming_stores() {
#if defined(__x86_64__)
  static const bool amd = __builtin_cpu_is("amd");
  return amd;
#else
  return false;
#endif
}

}  // namespace rapt::internal

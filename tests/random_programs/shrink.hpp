// The smallest program that still fails.
#pragma once

#include <functional>
#include <string>

#include "tests/random_programs/program.hpp"

namespace rapt::programs {

/// How a program ended: empty where all agree.
struct Verdict {
  std::string what;  // of the first difference, or the signal
  std::string sort;  // "wrong", "throws", "changed", "signal 11"; only like is compared with like
  bool fails() const { return !what.empty(); }
};

/// Checks a program in a process of its own, so that a crash or an endless loop is a verdict too.
Verdict check_apart(const Program& program);

/// Leaves out statements, step by step, for as long as it fails in the same way.
Program shrink(Program program, const Verdict& verdict,
               const std::function<void(const std::string&)>& progress);

}  // namespace rapt::programs

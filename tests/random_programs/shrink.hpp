// Finds the smallest program that still fails.
#pragma once

#include <functional>
#include <string>

#include "tests/random_programs/program.hpp"

namespace rapt::programs {

/// The result of checking a program.
struct Verdict {
  std::string what;  // the first difference, or the signal; empty: all agree
  std::string sort;  // "wrong", "throws", "changed", "signal 11"; shrinking keeps the sort
  bool fails() const { return !what.empty(); }
};

/// Checks a program in its own process, so that a crash or an endless loop gives a verdict too.
Verdict check_apart(const Program& program);

/// Removes statements one after another while the program still fails in the same way.
Program shrink(Program program, const Verdict& verdict,
               const std::function<void(const std::string&)>& progress);

}  // namespace rapt::programs

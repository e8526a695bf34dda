// Runs a program on an executor and on the oracle, and compares.
#pragma once

#include <map>
#include <optional>

#include "framework/run/executor.hpp"
#include "tests/random_programs/program.hpp"

namespace rapt::programs {

/// The values of the targets, by an executor that is not under test.
std::vector<Tensor> oracle(std::span<const Var> targets);

/// What a program gives: all values that it asks for, in the order of asking, and after each step
/// of an optimizer parameters, state and norm.
struct Outcome {
  std::vector<std::pair<std::string, Tensor>> values;
  std::string error;        // what was thrown; empty: nothing
  std::string overwritten;  // a tensor that was handed out and has changed since
};

using Touched = std::map<std::string, int64_t, std::less<>>;

/// With the executor. Counts the nodes recorded, by the names of their operators.
Outcome run(const Program& program, Executor& executor, Touched* touched = nullptr);
/// With the oracle.
Outcome expected(const Program& program);

/// What differs; nothing: they agree to the bit (a NaN equals a NaN).
std::optional<std::string> difference(const Outcome& given, const Outcome& right);

/// Runs the program on executors of 1, 2 and 3 threads, against the oracle. Returns what is wrong.
std::optional<std::string> check(const Program& program, Touched* touched = nullptr);

}  // namespace rapt::programs

// Runs a program on an executor and on the oracle, and compares the results.
#pragma once

#include <map>
#include <optional>

#include "framework/run/executor.hpp"
#include "tests/random_programs/program.hpp"

namespace rapt::programs {

/// Computes the targets with a reference executor that is not under test.
std::vector<Tensor> oracle(std::span<const Var> targets);

/// The results of a program: all requested values in the order of the requests. After each step of
/// an optimizer, they also include its parameters, state and norm.
struct Outcome {
  std::vector<std::pair<std::string, Tensor>> values;
  std::string error;        // message of a thrown exception; empty: none
  std::string overwritten;  // name of a returned tensor that has changed since
};

using Touched = std::map<std::string, int64_t, std::less<>>;

/// Runs on the executor. Counts the recorded nodes by operator name.
Outcome run(const Program& program, Executor& executor, Touched* touched = nullptr);
/// Runs on the oracle.
Outcome expected(const Program& program);

/// Returns the first difference; nothing if all are bit-identical (a NaN equals a NaN).
std::optional<std::string> difference(const Outcome& given, const Outcome& right);

/// Runs the program on executors with 1, 2 and 3 threads and compares with the oracle. Returns the
/// first fault.
std::optional<std::string> check(const Program& program, Touched* touched = nullptr);

}  // namespace rapt::programs

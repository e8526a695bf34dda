// Inputs that are the same in every run, and how far results are apart.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/core/random.hpp"
#include "framework/graph/var.hpp"
#include "tests/support/catch.hpp"

namespace rapt {

inline Tensor drawn(uint64_t id, const Shape& shape) {
  return uniform(Key{41}.fold(id), shape, -1, 1);
}

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

inline std::vector<double> values(const Var& var) { return var.value().to_vector<double>(); }

}  // namespace rapt

// Prints arrays.
#pragma once

#include <cstdint>
#include <string>

#include "framework/core/tensor.hpp"

namespace rapt::tasks {

struct ArrayTextOptions {
  int digits = 4;  ///< significant digits of floats
  std::int64_t most =
      1000;  ///< larger arrays are shortened: the first and last `edge` of each axis
  std::int64_t edge = 3;
};

/// Returns an array as text for people, with one line per row and blocks between brackets, as NumPy
/// prints it. Columns are aligned. Type and shape follow:
///
///   [[ 0.0294  0.4853]
///    [ 1       0     ]] float32 [2, 2]
std::string array_text(const Tensor& array, const ArrayTextOptions& options = {});

}  // namespace rapt::tasks

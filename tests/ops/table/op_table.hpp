// The table of operators that drives every kind of operator test. It has one row per operator, and
// an additional row for each form that takes another code path.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "framework/graph/op.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {

/// The array type of the independent oracle.
using Array = xt::xarray<double>;

struct Input {
  Shape shape;
  double low = -2, high = 2;     // values are drawn from [low, high)
  DType dtype = DType::float64;  // int32 and boolean inputs get no gradient
};

struct Row {
  std::string name;
  std::vector<Input> inputs;
  /// The operator under test.
  std::function<Var(const std::vector<Var>&)> apply;
  /// The expected result, computed without the code under test.
  std::function<Array(const std::vector<Array>&)> expected;
  /// True: first and second derivatives are checked. False: there is none, or the row is random.
  bool gradient = true;
  /// Allowed difference in float32, absolute and relative. In float64 it is 1e-10.
  double tolerance = 1e-5;
};

// One function per family, in op_rows_FAMILY.cpp.
std::vector<Row> elementwise_rows();
std::vector<Row> shape_rows();
std::vector<Row> reduce_rows();
std::vector<Row> matmul_rows();
std::vector<Row> row_rows();  // softmax, norms, loss, embedding, dropout
std::vector<Row> attention_rows();
std::vector<Row> recurrent_rows();
std::vector<Row> decoding_rows();  // caches, top_k, draw
std::vector<Row> rotary_rows();
std::vector<Row> convolution_rows();  // and pooling
std::vector<Row> ctc_rows();

std::vector<Row> all_rows();

}  // namespace rapt::test

// All rows of the operator table.
#include "tests/ops/table/op_table.hpp"

namespace rapt::test {

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (auto family :
       {elementwise_rows, shape_rows, reduce_rows, matmul_rows, row_rows, attention_rows,
        recurrent_rows, rotary_rows, convolution_rows, decoding_rows, ctc_rows}) {
    for (Row& row : family()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace rapt::test

// How a reduction over any axes of an array of any strides becomes kernel calls.
#pragma once

#include "framework/graph/op.hpp"
#include "ops/kernels/rows/reduce.hpp"

namespace rapt {

/// One kernel call for each run of neighbouring axes that are reduced, the innermost first: each
/// works on the results of the one before. Results of logsumexp are rounded too much to go on with:
/// where its axes are neighbours there is one call.
struct ReduceWork {
  bool copied = false;  // the strides fit no kernel: x has to be made contiguous first
  int count = 0;
  std::array<kernels::ReducePlan, max_rank / 2 + 1> plans{};

  /// x with its strides, reduced over the axes; y has the elements that are left.
  ReduceWork(const TensorView& x, int64_t results, std::span<const int64_t> axes,
             kernels::Reduction reduction);

  /// The number of elements that call k gives.
  int64_t results(int k) const {
    const kernels::ReduceShape& shape = plans[static_cast<size_t>(k)].shape;
    return shape.outer * shape.inner;
  }

 private:
  void add(kernels::Reduction reduction, const kernels::ReduceShape& shape);
  bool plan(const TensorView& x, std::span<const int64_t> axes, kernels::Reduction reduction);
};

}  // namespace rapt

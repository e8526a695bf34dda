// Division of a reduction over any axes of a strided array into kernel calls.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/graph/op.hpp"
#include "ops/kernels/rows/reduce.hpp"

namespace rapt::internal {

/// List of kernel calls, one per run of adjacent reduced axes, innermost first. Each call works on
/// the results of the previous one. Results of logsumexp are rounded too coarsely to serve as input
/// of another call. If logsumexp would take several calls, x is copied first.
struct ReduceWork {
  bool copied = false;  // no kernel supports the strides: x has to be made contiguous first
  int count = 0;
  std::array<kernels::ReducePlan, max_rank / 2 + 1> plans{};

  /// Plans the reduction of x over the axes. y has `results` elements.
  ReduceWork(const TensorView& x, int64_t results, std::span<const int64_t> axes,
             kernels::Reduction reduction);

  /// Returns the number of results of call k.
  int64_t results(int k) const {
    const kernels::ReduceShape& shape = plans[static_cast<size_t>(k)].shape;
    return shape.outer * shape.inner;
  }

 private:
  void add(kernels::Reduction reduction, const kernels::ReduceShape& shape);
  bool plan(const TensorView& x, std::span<const int64_t> axes, kernels::Reduction reduction);
};

}  // namespace rapt::internal

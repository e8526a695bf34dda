// What the recurrent operators share: how they call their kernels and split their work.
#pragma once

#include <algorithm>
#include <rapt/framework/parallel.hpp>
#include <rapt/ops/kernels/gemm.hpp>
#include <rapt/ops/kernels/recurrent.hpp>
#include <rapt/ops/row_split.hpp>

namespace rapt::recurrent {

/// How many elements of plain work one hidden unit's gates are worth, when rows are split.
inline constexpr int64_t gates_width = 4;

template <class T>
const kernels::RecurrentKernels<T>& recurrent_kernels() {
  return kernels::kernels_for<kernels::RecurrentTable, T>();
}

/// A contiguous [B, n] array.
template <class T>
kernels::Rows<T> rows(const TensorView& view) {
  return {view.as<T>(), view.shape[1]};
}

/// Step t of a contiguous [T, B, n] array.
template <class T>
kernels::Rows<T> rows(const TensorView& view, int64_t t) {
  return {view.as<T>() + t * view.shape[1] * view.shape[2], view.shape[2]};
}

/// That an input is lengths, int32 [batch].
void check_lengths(const ShapeContext& c, int input, int64_t batch);

/// A matrix product inside of an operator.
template <class T>
void product(const ForwardContext& c, const kernels::Gemm<T>& gemm) {
  // Some 15 microseconds of arithmetic: what is worth a task.
  constexpr double task_operations = 1 << 20;
  const kernels::GemmPlan plan = kernels::plan_gemm(gemm);
  if (plan.tasks == 0) return;
  const double operations = 2.0 * static_cast<double>(gemm.m) * static_cast<double>(gemm.n) *
                            static_cast<double>(gemm.k) / static_cast<double>(plan.tasks);
  const auto group = static_cast<int64_t>(
      std::clamp(task_operations / (operations + 1), 1.0, static_cast<double>(plan.tasks)));
  c.parallel((plan.tasks + group - 1) / group, [&](int64_t part) {
    void* scratch = worker_scratch(static_cast<int64_t>(plan.scratch_bytes));
    kernels::run_gemm(gemm, plan, scratch, part * group, std::min(plan.tasks, (part + 1) * group));
  });
}

}  // namespace rapt::recurrent

#include "ops/support/strided.hpp"

#include <algorithm>
#include <cstring>

#include "framework/graph/graph.hpp"
#include "ops/kernels/elementwise/copy.hpp"

namespace rapt::internal {
namespace {

/// Number of elements that justify a task of their own.
constexpr int64_t elements_per_task = 16384;

template <class T>
void add_rows(const TensorView& from, const TensorView& to) {
  const int64_t n = row_length(from.shape);
  const int64_t step_from = row_stride(from.shape, from.strides);
  const int64_t step_to = row_stride(to.shape, to.strides);
  for_each_row<2>(from.shape, {from.strides, to.strides}, [&](const auto& offsets) {
    const T* a = from.as<const T>() + offsets[0];
    T* b = to.as<T>() + offsets[1];
    if (step_from == 1 && step_to == 1) {
      for (int64_t i = 0; i < n; ++i) b[i] += a[i];
    } else {
      for (int64_t i = 0; i < n; ++i) b[i * step_to] += a[i * step_from];
    }
  });
}

kernels::CopyPlan plan_of(const TensorView& from, const TensorView& to) {
  return kernels::kernels<kernels::CopyKernels>().plan(static_cast<int>(size_of(from.dtype)),
                                                       from.shape.rank(), from.shape.begin(),
                                                       from.strides.data(), to.strides.data());
}

void add_serial(const TensorView& from, const TensorView& to) {
  by_number_type(from.dtype, [&]<class T>() { add_rows<T>(from, to); });
}

}  // namespace

Cut cut_of(const Shape& shape, int whole) {
  const int64_t size = shape.size();
  if (size <= elements_per_task) return {0, 0, size == 0 ? 0 : 1};
  // Choose the first axis that gives enough parts, or else the longest axis.
  const int64_t wanted = (size + elements_per_task - 1) / elements_per_task;
  int64_t longest = 1;
  int axis = -1;
  for (int i = 0; i < shape.rank() && longest < wanted; ++i) {
    if (i == whole || shape[i] <= longest) continue;
    longest = shape[i];
    axis = i;
  }
  if (axis < 0) return {0, 0, 1};
  const int64_t parts = std::min(wanted, longest);
  const int64_t step = (longest + parts - 1) / parts;
  return {axis, step, (longest + step - 1) / step};
}

TensorView part_of(const TensorView& view, const Cut& cut, int64_t part) {
  if (cut.parts == 1) return view;
  TensorView result = view;
  const int64_t begin = part * cut.step;
  result.shape[cut.axis] = std::min(cut.step, view.shape[cut.axis] - begin);
  result.data = static_cast<char*>(view.data) +
                begin * view.strides[static_cast<size_t>(cut.axis)] * size_of(view.dtype);
  return result;
}

Var dense_rows(const Var& x) {
  if (x.rank() == 0) return x;
  Graph& graph = x.graph();
  const Value& value = graph.values[x.id()];
  const auto last = static_cast<size_t>(value.shape.rank() - 1);
  return graph.strides_of(value)[last] == 1 ? x : graph.contiguous(x);
}

void copy(const ForwardContext& c, const TensorView& from, const TensorView& to) {
  const kernels::CopyPlan plan = plan_of(from, to);
  const auto run = kernels::kernels<kernels::CopyKernels>().run;
  c.parallel(plan.tasks, [&](int64_t task) { run(plan, from.data, to.data, task); });
}

void accumulate(const ForwardContext& c, const TensorView& from, const TensorView& to) {
  const Cut cut = cut_of(from.shape);
  c.parallel(cut.parts, [&](int64_t i) { add_serial(part_of(from, cut, i), part_of(to, cut, i)); });
}

void copy_inputs(const ForwardContext& c, FunctionRef<TensorView(int)> place) {
  int64_t largest = 0, all = 0;
  for (int i = 0; i < c.inputs(); ++i) {
    const int64_t size = c.input(i).shape.size();
    largest = std::max(largest, size);
    all += size;
  }
  if (largest > elements_per_task) {
    for (int i = 0; i < c.inputs(); ++i) {
      if (const TensorView to = place(i); to.data != c.input(i).data) copy(c, c.input(i), to);
    }
    return;
  }
  // Small pieces: several per task.
  const auto run = kernels::kernels<kernels::CopyKernels>().run;
  const auto count = static_cast<int64_t>(c.inputs());
  const int64_t tasks = std::clamp<int64_t>(all / elements_per_task, 1, count);
  const int64_t step = (count + tasks - 1) / tasks;
  c.parallel((count + step - 1) / step, [&](int64_t task) {
    const int64_t end = std::min(count, (task + 1) * step);
    for (int64_t i = task * step; i < end; ++i) {
      const TensorView& from = c.input(static_cast<int>(i));
      const TensorView to = place(static_cast<int>(i));
      if (to.data == from.data) continue;
      const kernels::CopyPlan plan = plan_of(from, to);
      for (int64_t k = 0; k < plan.tasks; ++k) run(plan, from.data, to.data, k);
    }
  });
}

void fill_zeros(const ForwardContext& c, const TensorView& to) {
  const int64_t bytes = to.size() * size_of(to.dtype);
  constexpr int64_t step = elements_per_task * 4;
  c.parallel((bytes + step - 1) / step, [&](int64_t i) {
    std::memset(to.as<char>() + i * step, 0, static_cast<size_t>(std::min(step, bytes - i * step)));
  });
}

}  // namespace rapt::internal

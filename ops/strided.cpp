#include <algorithm>
#include <cstring>
#include <rapt/ops/strided.hpp>

namespace rapt {
namespace {

/// Elements that make a task of their own worth while.
constexpr int64_t elements_per_task = 16384;

/// How an array is cut for tasks: along one axis, into ranges of `step`.
struct Cut {
  int axis;
  int64_t step, parts;
};

Cut cut_of(const Shape& shape) {
  const int64_t size = shape.size();
  if (size <= elements_per_task) return {0, 0, size == 0 ? 0 : 1};
  int axis = 0;  // the first one that gives enough parts, or else the longest
  const int64_t wanted = (size + elements_per_task - 1) / elements_per_task;
  for (int i = 0; i < shape.rank() && shape[axis] < wanted; ++i) {
    if (shape[i] > shape[axis]) axis = i;
  }
  const int64_t parts = std::min(wanted, shape[axis]);
  const int64_t step = (shape[axis] + parts - 1) / parts;
  return {axis, step, (shape[axis] + step - 1) / step};
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

/// Calls body(a, b, n, stride_a, stride_b) for every row of two arrays of one shape.
template <class T, class Body>
void for_each_row(const TensorView& from, const TensorView& to, Body&& body) {
  const int last = from.shape.rank() - 1;
  const int64_t n = last < 0 ? 1 : from.shape[last];
  const auto l = static_cast<size_t>(std::max(last, 0));
  if (from.shape.size() == 0) return;
  const T* a = from.as<const T>();
  T* b = to.as<T>();
  std::array<int64_t, max_rank> at{};
  for (;;) {
    body(a, b, n, from.strides[l], to.strides[l]);
    int axis = last - 1;
    for (; axis >= 0; --axis) {
      const auto i = static_cast<size_t>(axis);
      a += from.strides[i];
      b += to.strides[i];
      if (++at[i] < from.shape[axis]) break;
      a -= at[i] * from.strides[i];
      b -= at[i] * to.strides[i];
      at[i] = 0;
    }
    if (axis < 0) return;
  }
}

template <class T>
void copy_rows(const TensorView& from, const TensorView& to) {
  for_each_row<T>(from, to, [](const T* a, T* b, int64_t n, int64_t step_a, int64_t step_b) {
    if (step_a == 1 && step_b == 1) {
      std::memcpy(b, a, static_cast<size_t>(n) * sizeof(T));
    } else {
      for (int64_t i = 0; i < n; ++i) b[i * step_b] = a[i * step_a];
    }
  });
}

template <class T>
void add_rows(const TensorView& from, const TensorView& to) {
  for_each_row<T>(from, to, [](const T* a, T* b, int64_t n, int64_t step_a, int64_t step_b) {
    for (int64_t i = 0; i < n; ++i) b[i * step_b] += a[i * step_a];
  });
}

void copy_serial(const TensorView& from, const TensorView& to) {
  switch (size_of(from.dtype)) {
    case 1:
      return copy_rows<uint8_t>(from, to);
    case 4:
      return copy_rows<uint32_t>(from, to);
    default:
      return copy_rows<uint64_t>(from, to);
  }
}

void add_serial(const TensorView& from, const TensorView& to) {
  switch (from.dtype) {
    case DType::float32:
      return add_rows<float>(from, to);
    case DType::float64:
      return add_rows<double>(from, to);
    default:
      return add_rows<int32_t>(from, to);
  }
}

}  // namespace

void copy(const ForwardContext& c, const TensorView& from, const TensorView& to) {
  const Cut cut = cut_of(from.shape);
  c.parallel(cut.parts,
             [&](int64_t i) { copy_serial(part_of(from, cut, i), part_of(to, cut, i)); });
}

void accumulate(const ForwardContext& c, const TensorView& from, const TensorView& to) {
  const Cut cut = cut_of(from.shape);
  c.parallel(cut.parts, [&](int64_t i) { add_serial(part_of(from, cut, i), part_of(to, cut, i)); });
}

void copy_pieces(const ForwardContext& c, std::span<const TensorView> to) {
  int64_t largest = 0, all = 0;
  for (const TensorView& view : to) {
    largest = std::max(largest, cut_of(view.shape).parts);
    all += view.size();
  }
  if (largest > 1) {
    for (int i = 0; i < c.inputs(); ++i) copy(c, c.input(i), to[static_cast<size_t>(i)]);
    return;
  }
  // Small pieces: several to a task.
  const auto count = static_cast<int64_t>(to.size());
  const int64_t tasks = std::clamp<int64_t>(all / elements_per_task, 1, count);
  const int64_t step = (count + tasks - 1) / tasks;
  c.parallel((count + step - 1) / step, [&](int64_t task) {
    const int64_t end = std::min(count, (task + 1) * step);
    for (int64_t i = task * step; i < end; ++i) {
      copy_serial(c.input(static_cast<int>(i)), to[static_cast<size_t>(i)]);
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

}  // namespace rapt

#include "ops/reduce/reduce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce_work.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::ReducePlan;
using kernels::ReduceShape;
using kernels::Reduction;

// The words of a reduction are a flag that keeps reduced axes, and then the axes.
std::span<const int64_t> axes_in(std::span<const int64_t> words) { return words.subspan(1); }

Shape reduced_shape(std::span<const int64_t> axes, const Shape& shape, bool keepdims) {
  const auto reduced = marked_axes(axes, shape.rank());
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!reduced[static_cast<size_t>(i)]) {
      result.push_back(shape[i]);
    } else if (keepdims) {
      result.push_back(1);
    }
  }
  return result;
}

Shape checked_shape(const ShapeContext& c) {
  const auto axes = axes_in(c.words());
  check_axes(c, axes, c.input(0));
  return reduced_shape(axes, c.input(0), c.words()[0] != 0);
}

void expect_float(const ShapeContext& c) {
  if (!is_float(c.dtype())) {
    c.fail(fmt::format("expected float32 or float64, got {}", name(c.dtype())), ErrorKind::type);
  }
}

/// Returns the shape of a reduction that is undefined for axes without elements.
Shape checked_extremum_shape(const ShapeContext& c) {
  if (c.dtype() == DType::boolean) c.fail("expected numbers, got boolean", ErrorKind::type);
  const Shape shape = checked_shape(c);
  if (shape.size() != 0 && c.input(0).size() == 0) {
    c.fail(fmt::format("there are no elements to choose from in {}", to_string(c.input(0))));
  }
  return shape;
}

// ---- execution ----------------------------------------------------------------------------------

ReduceWork work_of(const ForwardContext& c, Reduction reduction) {
  return {c.input(0), c.output().size(), axes_in(c.words()), reduction};
}

/// Allocates parts of the scratch memory. Without memory it only measures them.
class Scratch {
 public:
  explicit Scratch(void* memory) : memory_(static_cast<char*>(memory)) {}
  void* take(int64_t bytes) {
    void* part = memory_ == nullptr ? nullptr : memory_ + taken_;
    taken_ += (bytes + 63) / 64 * 64;
    return part;
  }
  int64_t taken() const { return taken_; }

 private:
  char* memory_;
  int64_t taken_ = 0;
};

template <Reduction reduction>
int64_t reduce_scratch(const ForwardContext& c) {
  const ReduceWork work = work_of(c, reduction);
  const int64_t size = size_of(c.input(0).dtype);
  Scratch scratch(nullptr);
  if (work.copied) scratch.take(c.input(0).size() * size);
  for (int k = 0; k < work.count; ++k) {
    scratch.take(work.plans[static_cast<size_t>(k)].scratch * size);
    if (k + 1 < work.count) scratch.take(work.results(k) * size);
  }
  return scratch.taken();
}

template <class T>
void run_plan(const ForwardContext& c, const kernels::ReduceFunctions<T>& f, const ReducePlan& plan,
              const void* x, void* y, void* scratch) {
  const T* from = static_cast<const T*>(x);
  T* partial = static_cast<T*>(scratch);
  T* rest = plan.reduction == Reduction::logsumexp ? c.output(1).as<T>() : nullptr;
  c.parallel(plan.tasks, [&](int64_t task) { f.run(plan, from, y, rest, partial, task); });
  c.parallel(plan.combine_tasks, [&](int64_t task) { f.combine(plan, partial, y, rest, task); });
}

/// Adds two numbers modulo 2^32, as all int32 operators do.
inline int32_t wrapped_sum(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
inline bool wrapped_sum(bool a, bool b) { return a || b; }

/// Reduces arrays of types other than float. They are rare and short, so this code is not
/// optimized.
template <class T>
void run_plain(const ForwardContext& c, const ReducePlan& plan, const void* x, void* y) {
  const ReduceShape& s = plan.shape;
  const int64_t block = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, s.n * s.inner));
  const T start = plan.reduction == Reduction::max   ? std::numeric_limits<T>::lowest()
                  : plan.reduction == Reduction::min ? std::numeric_limits<T>::max()
                                                     : T{0};
  c.parallel((s.outer + block - 1) / block, [&](int64_t task) {
    for (int64_t o = task * block; o < std::min(s.outer, (task + 1) * block); ++o) {
      const T* from = static_cast<const T*>(x) + o * s.outer_stride;
      T* to = static_cast<T*>(y) + o * s.inner;
      std::fill_n(to, s.inner, start);
      for (int64_t i = 0; i < s.n; ++i) {
        for (int64_t k = 0; k < s.inner; ++k) {
          const T value = from[i * s.row_stride + k];
          to[k] = plan.reduction == Reduction::max   ? std::max(to[k], value)
                  : plan.reduction == Reduction::min ? std::min(to[k], value)
                                                     : wrapped_sum(to[k], value);
        }
      }
    }
  });
}

template <Reduction reduction>
void reduce_forward(const ForwardContext& c) {
  const auto& kernel = kernels::kernels<kernels::ReduceKernels>();
  const ReduceWork work = work_of(c, reduction);
  TensorView x = c.input(0);
  const int64_t size = size_of(x.dtype);
  Scratch scratch(c.scratch());
  if (work.copied) {
    const TensorView dense{scratch.take(x.size() * size), x.dtype, x.shape,
                           contiguous_strides(x.shape)};
    copy(c, x, dense);
    x = dense;
  }
  const void* from = x.data;
  for (int k = 0; k < work.count; ++k) {
    const ReducePlan& plan = work.plans[static_cast<size_t>(k)];
    void* partial = scratch.take(plan.scratch * size);
    void* to = k + 1 < work.count ? scratch.take(work.results(k) * size) : c.output().data;
    switch (x.dtype) {
      case DType::float32:
        run_plan(c, kernel.f32, plan, from, to, partial);
        break;
      case DType::float64:
        run_plan(c, kernel.f64, plan, from, to, partial);
        break;
      case DType::int32:
        run_plain<int32_t>(c, plan, from, to);
        break;
      case DType::boolean:
        run_plain<bool>(c, plan, from, to);
        break;
    }
    from = to;
  }
}

Var reduce(StaticOp op, const Arg& x, const Axes& axes, bool keepdims) {
  std::array<int64_t, max_rank + 1> words{keepdims ? 1 : 0};
  const size_t count = 1 + put_axes(axes, x, words.data() + 1);
  return record(op, std::span(&x, 1), std::span<const int64_t>(words.data(), count));
}

// ---- gradients ----------------------------------------------------------------------------------

/// Broadcasts a value of the output's shape to the shape of the input, as a view.
Var spread(const GradientContext& c, const Var& value) {
  const Shape shape = c.input(0).shape();
  return broadcast_to(reshape(value, reduced_shape(axes_in(c.words()), shape, true)), shape);
}

// ---- the operators ------------------------------------------------------------------------------

// y = sum of x_i
constinit const Op sum_op{
    .name = "sum",
    .shape = [](ShapeContext& c) { return checked_shape(c); },
    .gradient = [](GradientContext& c) { c.input_grad(0) = spread(c, c.output_grad()); },
    .cpu = {.forward = &reduce_forward<Reduction::sum>,
            .scratch = &reduce_scratch<Reduction::sum>,
            .strided_inputs = true}};

int64_t reduced_size(std::span<const int64_t> words, const Shape& shape) {
  const auto reduced = marked_axes(axes_in(words), shape.rank());
  int64_t n = 1;
  for (int i = 0; i < shape.rank(); ++i) n *= reduced[static_cast<size_t>(i)] ? shape[i] : 1;
  return n;
}

template <class T>
void divide(const TensorView& y, int64_t n) {
  for (int64_t i = 0; i < y.size(); ++i) y.as<T>()[i] /= static_cast<T>(n);
}

// y = (sum of x_i) / n
constinit const Op mean_op{
    .name = "mean",
    .shape =
        [](ShapeContext& c) {
          expect_float(c);
          return checked_shape(c);
        },
    .gradient =
        [](GradientContext& c) {
          const int64_t n = reduced_size(c.words(), c.input(0).shape());
          c.input_grad(0) = spread(c, c.output_grad() / static_cast<double>(n));
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  reduce_forward<Reduction::sum>(c);
                  const int64_t n = reduced_size(c.words(), c.input(0).shape);
                  by_float_type(c.output().dtype, [&]<class T>() { divide<T>(c.output(), n); });
                },
            .scratch = &reduce_scratch<Reduction::sum>,
            .strided_inputs = true}};

/// Divides the gradient equally between the elements that are equal to y.
void share_gradient(GradientContext& c) {
  const Var chosen = eq(c.input(0), spread(c, c.output()));
  const Arg ones = cast(chosen, c.output().dtype());
  const Var count = record(sum_op, std::span(&ones, 1), c.words());
  c.input_grad(0) = where(chosen, spread(c, c.output_grad() / count), 0);
}

// y = max of x_i: dx_i = dy / k for the k elements equal to y
constinit const Op max_op{.name = "max",
                          .shape = [](ShapeContext& c) { return checked_extremum_shape(c); },
                          .gradient = &share_gradient,
                          .cpu = {.forward = &reduce_forward<Reduction::max>,
                                  .scratch = &reduce_scratch<Reduction::max>,
                                  .strided_inputs = true}};

// y = min of x_i
constinit const Op min_op{.name = "min",
                          .shape = [](ShapeContext& c) { return checked_extremum_shape(c); },
                          .gradient = &share_gradient,
                          .cpu = {.forward = &reduce_forward<Reduction::min>,
                                  .scratch = &reduce_scratch<Reduction::min>,
                                  .strided_inputs = true}};

// y = the first i with x_i = max of x
constinit const Op argmax_op{.name = "argmax",
                             .shape =
                                 [](ShapeContext& c) {
                                   const Shape shape = checked_extremum_shape(c);
                                   for (const int64_t axis : axes_in(c.words()))
                                     check_places(c, axis, c.input(0));
                                   c.output(shape, DType::int32);
                                 },
                             .gradient = [](GradientContext&) {},
                             .cpu = {.forward = &reduce_forward<Reduction::argmax>,
                                     .scratch = &reduce_scratch<Reduction::argmax>,
                                     .strided_inputs = true}};

// y = log(sum of exp(x_i)): dx_i = exp(x_i - y) dy. Outputs: y and its rounding error. For a large
// y the error can exceed the logarithm itself, and exp(x_i - y) would not add up to 1. The two
// outputs together have the gradient of y, so the second output has none.
constinit const Op logsumexp_op{
    .name = "logsumexp",
    .shape =
        [](ShapeContext& c) {
          expect_float(c);
          const Shape shape = checked_shape(c);
          for (int i = 0; i < 2; ++i) c.output(shape, c.dtype());
        },
    .gradient =
        [](GradientContext& c) {
          if (!c.has_output_grad(0)) return;
          // If y is -inf, so is every x_i. Then exp(x_i - 0) is 0, but -inf - -inf would be NaN.
          const Var y = c.output(0);
          const Var finite = where(eq(y, -std::numeric_limits<double>::infinity()), 0, y);
          const Var below = c.input(0) - spread(c, finite) - spread(c, c.output(1));
          c.input_grad(0) = exp(below) * spread(c, c.output_grad());
        },
    .cpu = {.forward = &reduce_forward<Reduction::logsumexp>,
            .scratch = &reduce_scratch<Reduction::logsumexp>,
            .strided_inputs = true}};

void boolean_shape(ShapeContext& c) {
  if (c.dtype() != DType::boolean) {
    c.fail(fmt::format("expected boolean, got {}", name(c.dtype())), ErrorKind::type);
  }
  c.output(checked_shape(c), DType::boolean);
}

// y = x_1 or x_2 or ...
constinit const Op any_op{.name = "any",
                          .shape = &boolean_shape,
                          .cpu = {.forward = &reduce_forward<Reduction::max>,
                                  .scratch = &reduce_scratch<Reduction::max>,
                                  .strided_inputs = true}};

// y = x_1 and x_2 and ...
constinit const Op all_op{.name = "all",
                          .shape = &boolean_shape,
                          .cpu = {.forward = &reduce_forward<Reduction::min>,
                                  .scratch = &reduce_scratch<Reduction::min>,
                                  .strided_inputs = true}};

// ---- cumsum -------------------------------------------------------------------------------------

struct CumsumAttributes {
  int64_t axis, reversed;
};

void add_up(const ReduceShape& s, const int32_t* x, int32_t* y, bool reversed) {
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t k = 0; k < s.inner; ++k) {
      int32_t total = 0;
      for (int64_t i = 0; i < s.n; ++i) {
        const int64_t at = (o * s.n + (reversed ? s.n - 1 - i : i)) * s.inner + k;
        total = wrapped_sum(total, x[at]);
        y[at] = total;
      }
    }
  }
}

// y_i = sum of x_k for k <= i, or for k >= i
constinit const Op cumsum_op{
    .name = "cumsum",
    .shape =
        [](ShapeContext& c) {
          checked_axis(c, c.attributes<CumsumAttributes>().axis, c.input(0));
          return c.input(0);
        },
    .gradient =
        [](GradientContext& c) {
          const auto a = c.attributes<CumsumAttributes>();
          c.input_grad(0) = cumsum(c.output_grad(), static_cast<int>(a.axis), a.reversed == 0);
        },
    .traits = {.in_place = 1},
    .cpu = {.forward = [](const ForwardContext& c) {
      const auto& kernel = kernels::kernels<kernels::ReduceKernels>();
      const auto a = c.attributes<CumsumAttributes>();
      const TensorView& x = c.input(0);
      const TensorView& y = c.output();
      const int axis = from_front(a.axis, x.shape.rank());
      int64_t outer = 1, inner = 1;
      for (int i = 0; i < axis; ++i) outer *= x.shape[i];
      for (int i = axis + 1; i < x.shape.rank(); ++i) inner *= x.shape[i];
      const int64_t n = x.shape[axis];
      const ReduceShape s{outer, n, inner, n * inner, inner};
      const bool reversed = a.reversed != 0;
      if (x.dtype == DType::int32) {
        return add_up(s, x.as<const int32_t>(), y.as<int32_t>(), reversed);
      }
      by_float_type(x.dtype, [&]<class T>() {
        const auto& of_type = kernels::kernels_for<kernels::ReduceKernels, T>();
        c.parallel(kernel.cumsum_tasks(s), [&](int64_t task) {
          of_type.cumsum(s, x.as<const T>(), y.as<T>(), reversed, task);
        });
      });
    }}};

/// Returns an order of the axes of x with the reduced ones last. Returns an empty list if these are
/// already adjacent, or if they are invalid, which the operator reports.
std::vector<int> reduced_last(const Var& x, const Axes& axes) {
  const int rank = x.rank();
  std::vector<bool> reduced(static_cast<size_t>(rank));
  for (const int axis : axes) {
    const int place = from_front(axis, rank);
    if (place < 0 || place >= rank || reduced[static_cast<size_t>(place)]) return {};
    reduced[static_cast<size_t>(place)] = true;
  }
  const auto first = std::find(reduced.begin(), reduced.end(), true);
  if (std::find(first, reduced.end(), false) - first >= axes.size()) return {};
  std::vector<int> order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  std::stable_partition(order.begin(), order.end(),
                        [&](int axis) { return !reduced[static_cast<size_t>(axis)]; });
  return order;
}

/// Returns an array whose sum counts booleans. Throws Error if there are too many for int32.
Arg countable(std::string_view op, const Arg& x, const Axes& axes) {
  if (x.dtype() != DType::boolean) return x;
  const Arg array(as_var(x), x.where);
  const Shape shape = as_var(array).shape();
  std::array<int64_t, max_rank> words{};
  const size_t count = put_axes(axes, array, words.data());
  int64_t most = 1;
  for (size_t i = 0; i < count; ++i) {
    most *= shape[checked_axis(op, words[i], shape, x.where)];
    if (most <= std::numeric_limits<int32_t>::max()) continue;
    fail(op,
         fmt::format("axis {} of {} has more booleans than int32 can count; cast() them to float64",
                     words[i], to_string(shape)),
         x.where);
  }
  return {cast(array, DType::int32), x.where};
}

}  // namespace

Var sum(const Arg& x, const Axes& axes, bool keepdims) {
  return reduce(sum_op, countable("sum", x, axes), axes, keepdims);
}
Var mean(const Arg& x, const Axes& axes, bool keepdims) {
  return reduce(mean_op, x, axes, keepdims);
}
Var max(const Arg& x, const Axes& axes, bool keepdims) { return reduce(max_op, x, axes, keepdims); }
Var min(const Arg& x, const Axes& axes, bool keepdims) { return reduce(min_op, x, axes, keepdims); }
Var logsumexp(const Arg& arg, const Axes& axes, bool keepdims) {
  const Var x = as_var(arg);
  const std::vector<int> order = reduced_last(x, axes);
  if (order.empty()) return reduce(logsumexp_op, arg, axes, keepdims);
  std::vector<int> last(order.end() - axes.size(), order.end());
  std::iota(last.begin(), last.end(), x.rank() - axes.size());
  const Arg turned(permute(Arg(x, arg.where), Axes(order)), arg.where);
  const Var y = reduce(logsumexp_op, turned, Axes(last), false);
  if (!keepdims) return y;
  const std::vector<int64_t> words(axes.begin(), axes.end());
  return reshape(y, reduced_shape(words, x.shape(), true));
}
Var any(const Arg& x, const Axes& axes, bool keepdims) { return reduce(any_op, x, axes, keepdims); }
Var all(const Arg& x, const Axes& axes, bool keepdims) { return reduce(all_op, x, axes, keepdims); }

Var argmax(const Arg& x, int axis, bool keepdims) {
  // float64 represents every int32 exactly.
  const Arg number = x.dtype() == DType::int32 ? Arg(cast(x, DType::float64), x.where) : x;
  return reduce(argmax_op, number, axis, keepdims);
}

Var cumsum(const Arg& x, int axis, bool reversed) {
  return record(cumsum_op, {countable("cumsum", x, axis)},
                CumsumAttributes{axis, reversed ? 1 : 0});
}

Var sum_to(const Arg& x, const Shape& shape) {
  const Var var = as_var(x);
  const Shape from = var.shape();
  if (from == shape) return var;
  Shape both;
  if (!broadcast(from, shape, both) || both != from) {
    fail("sum_to", fmt::format("{} does not broadcast to {}", to_string(shape), to_string(from)),
         x.where);
  }
  std::array<int, max_rank> axes{};
  size_t count = 0;
  const int added = from.rank() - shape.rank();
  for (int i = 0; i < from.rank(); ++i) {
    if (from[i] != 1 && (i < added || shape[i - added] == 1)) axes[count++] = i;
  }
  const Arg spread_out(var, x.where);
  if (count == 0) return reshape(spread_out, shape);
  return reshape(
      Arg(sum(spread_out, Axes(std::span<const int>(axes.data(), count)), true), x.where), shape);
}

}  // namespace v0
}  // namespace rapt

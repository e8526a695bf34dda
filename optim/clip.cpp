#include "optim/clip.hpp"

#include <array>
#include <cmath>

#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/elementwise/optimizer.hpp"
#include "ops/reduce/reduce.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Number of elements per partial sum, and number of partial sums per task.
constexpr int64_t chunk = 16384, chunks_together = 4;

int64_t chunks_of(const TensorView& view) { return (view.size() + chunk - 1) / chunk; }

int64_t chunks_of_all(const ForwardContext& c) {
  int64_t n = 0;
  for (int i = 0; i < c.inputs(); ++i) n += chunks_of(c.input(i));
  return n;
}

double chunk_sum(const TensorView& view, int64_t index) {
  const int64_t begin = index * chunk;
  const int64_t end = std::min(begin + chunk, view.size());
  return by_float_type(view.dtype, [&]<class T>() {
    const auto& functions = kernels::kernels_for<kernels::OptimizerKernels, T>();
    return functions.sum_of_squares(view.as<const T>(), begin, end);
  });
}

/// Sums the chunks [begin, end). Chunks are numbered through all arrays.
void sum_chunks(const ForwardContext& c, int64_t begin, int64_t end, double* sums) {
  int64_t first = 0;  // first chunk of the array
  for (int array = 0; begin < end; ++array) {
    const TensorView& view = c.input(array);
    const int64_t next = first + chunks_of(view);
    for (; begin < std::min(next, end); ++begin) sums[begin] = chunk_sum(view, begin - first);
    first = next;
  }
}

/// Returns the largest magnitude of doubles, or NaN or infinity if there is one.
double largest(const double* x, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double size = std::abs(x[i]);
    if (!(size <= most)) most = size;
    if (std::isnan(most)) return most;
  }
  return most;
}

/// Returns the root of the sum of squares if the squares of doubles overflow or underflow. All
/// elements are first multiplied by a power of two. This is rare, so the code is simple. The chunks
/// are as above, which gives the same order of summation.
double scaled_norm(const ForwardContext& c, double* sums) {
  const int64_t n = chunks_of_all(c);
  const auto for_each_chunk = [&](const auto& result) {
    c.parallel(n, [&](int64_t chunk_index) {
      int64_t index = chunk_index;
      int array = 0;
      for (; index >= chunks_of(c.input(array)); ++array) index -= chunks_of(c.input(array));
      const TensorView& view = c.input(array);
      const int64_t begin = index * chunk, end = std::min(begin + chunk, view.size());
      std::array<double, chunk> elements;
      const auto count = static_cast<size_t>(end - begin);
      by_float_type(view.dtype, [&]<class T>() {
        for (size_t i = 0; i < count; ++i) {
          elements[i] = static_cast<double>(view.as<const T>()[begin + static_cast<int64_t>(i)]);
        }
      });
      sums[chunk_index] = result(elements.data(), end - begin);
    });
  };
  for_each_chunk(largest);
  const double most = largest(sums, n);
  if (most == 0 || !std::isfinite(most)) return most;
  const int exponent = std::ilogb(most);
  for_each_chunk([&](const double* x, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double scaled = std::ldexp(x[i], -exponent);
      sum += scaled * scaled;
    }
    return sum;
  });
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += sums[i];
  return std::ldexp(std::sqrt(total), exponent);
}

bool has_doubles(const ForwardContext& c) {
  for (int i = 0; i < c.inputs(); ++i) {
    if (c.input(i).dtype == DType::float64) return true;
  }
  return false;
}

constinit const Op global_norm_op{
    .name = "global_norm",
    .shape =
        [](ShapeContext& c) {
          for (int i = 0; i < c.inputs(); ++i) {
            if (!is_float(c.dtype(i))) {
              c.fail("the arrays have to hold floats", ErrorKind::type);
            }
          }
          c.output({}, DType::float64);
        },
    .reference =
        [](ReferenceContext& c) {
          Var total = sum(square(cast(c.input(0), DType::float64)));
          for (int i = 1; i < c.inputs(); ++i) {
            total = total + sum(square(cast(c.input(i), DType::float64)));
          }
          c.output() = sqrt(total);
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  auto* sums = static_cast<double*>(c.scratch());
                  const int64_t n = chunks_of_all(c);
                  const int64_t tasks = (n + chunks_together - 1) / chunks_together;
                  c.parallel(tasks, [&](int64_t task) {
                    const int64_t begin = task * chunks_together;
                    sum_chunks(c, begin, std::min(n, begin + chunks_together), sums);
                  });
                  double total = 0;
                  for (int64_t i = 0; i < n; ++i) total += sums[i];
                  // Squares of floats cannot overflow in double, but squares of doubles can.
                  const bool safe = total > 1e-270 && total < 1e308;
                  *c.output().as<double>() =
                      safe || !has_doubles(c) ? std::sqrt(total) : scaled_norm(c, sums);
                },
            .scratch = [](const ForwardContext& c) { return chunks_of_all(c) * 8; }}};

}  // namespace

Var global_norm(std::span<const Var> arrays, SourceLocation where) {
  Recycled<Arg> args;
  args.reserve(arrays.size());
  for (const Var& array : arrays) args.emplace_back(array, where);
  return record(global_norm_op, args);
}

Var clip_factor(const Var& norm, double limit, SourceLocation where) {
  const Arg one(1.0, where), largest(limit, where), tiny(1e-6, where);
  return minimum(one, div(largest, add(Arg(norm, where), tiny)));
}

}  // namespace v0
}  // namespace rapt

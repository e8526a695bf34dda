#include "ops/kernels/rows/top_k.hpp"

#include <fmt/format.h>

#include "framework/graph/graph.hpp"
#include "ops/rows/top_k.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct TopKAttributes {
  int64_t k;
};

// y[j] = x[index[j]]
constinit const Op top_k_op{
    .name = "top_k",
    .shape =
        [](ShapeContext& c) {
          const int64_t k = c.attributes<TopKAttributes>().k;
          const Shape& x = c.input(0);
          if (!is_float(c.dtype()) || x.rank() == 0 || k < 0 || k > x[-1]) {
            c.fail(fmt::format("expected a float array of at least {} elements in a row, got {} {}",
                               std::max<int64_t>(k, 0), name(c.dtype()), to_string(x)),
                   is_float(c.dtype()) ? ErrorKind::shape : ErrorKind::type);
          }
          check_places(c, -1, x);
          Shape shape = x;
          shape[-1] = k;
          c.output(shape, c.dtype());
          c.output(shape, DType::int32);
        },
    .gradient =
        [](GradientContext& c) {
          const Var x = c.input(0);
          const Var zero = x.graph().constant(0, x.dtype(), SourceLocation::current());
          c.input_grad(0) =
              scatter_add(broadcast_to(zero, x.shape()), -1, c.output(1), c.output_grad(0));
        },
    .cpu = {.forward = [](const ForwardContext& c) {
      const TensorView& x = c.input(0);
      by_float_type(x.dtype, [&]<class T>() {
        const auto& top_k = kernels::kernels_for<kernels::TopKTable, T>();
        const kernels::TopK<T> a{.x = x.as<const T>(),
                                 .row = x.shape[-1],
                                 .width = x.shape[-1],
                                 .k = c.attributes<TopKAttributes>().k,
                                 .values = c.output(0).as<T>(),
                                 .indices = c.output(1).as<int32_t>()};
        over_ranges(c, rows_of(x.shape), x.shape[-1],
                    [&](int64_t begin, int64_t end) { top_k(a, begin, end); });
      });
    }}};

}  // namespace

Var top_k(const Arg& x, int64_t k) { return record(top_k_op, {x}, TopKAttributes{k}); }

}  // namespace v0
}  // namespace rapt

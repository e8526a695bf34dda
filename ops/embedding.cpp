#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <rapt/framework/error.hpp>
#include <rapt/ops/embedding.hpp>
#include <rapt/ops/row_split.hpp>

namespace rapt {
namespace {

struct EmbeddingGradAttributes {
  int64_t rows;  // of the table
};

void check_ids(const TensorView& ids, int64_t rows) {
  const auto* id = ids.as<const int32_t>();
  const int64_t count = ids.size();
  for (int64_t i = 0; i < count; ++i) {
    if (id[i] >= 0 && id[i] < rows) continue;
    throw Error(fmt::format("id {} at {} is outside a table of {} rows", id[i],
                            position_in(ids.shape, i), rows));
  }
}

Shape with_width(const Shape& ids, int64_t width) {
  Shape shape = ids;
  shape.push_back(width);
  return shape;
}

// dweight[v] = sum of g[i] over the positions i with ids[i] = v. Each task owns a range of the
// table's rows and looks through all ids for them: no two write to one row, and every row's sum
// runs in the order of the positions.
const Op embedding_grad_op{
    .name = "embedding_grad",
    .shape =
        [](ShapeContext& c) {
          const int64_t rows = c.attributes<EmbeddingGradAttributes>().rows;
          c.output({rows, c.input(1)[-1]}, c.dtype(1));
        },
    .forward =
        [](const ForwardContext& c) {
          by_float_type(c.output().dtype, [&]<class T>() {
            const auto* ids = c.input(0).as<const int32_t>();
            const auto* g = c.input(1).as<const T>();
            auto* out = c.output().as<T>();
            const int64_t count = c.input(0).size();
            const int64_t rows = c.output().shape[0], width = c.output().shape[1];
            // At most 64 ranges: each costs a look through the ids.
            const int64_t step = std::max(
                {int64_t{1}, (int64_t{1} << 17) / std::max<int64_t>(width, 1), (rows + 63) / 64});
            c.parallel((rows + step - 1) / step, [&](int64_t part) {
              const int64_t begin = part * step, end = std::min(rows, begin + step);
              std::fill(out + begin * width, out + end * width, T(0));
              for (int64_t i = 0; i < count; ++i) {
                if (ids[i] < begin || ids[i] >= end) continue;
                T* to = out + ids[i] * width;
                const T* from = g + i * width;
                for (int64_t j = 0; j < width; ++j) to[j] += from[j];
              }
            });
          });
        },
    .gradient =
        [](GradientContext& c) { c.input_grad(1) = embedding(c.input(0), c.output_grad()); }};

// y[i] = weight[ids[i]]
const Op embedding_op{
    .name = "embedding",
    .shape =
        [](ShapeContext& c) {
          if (c.dtype(0) != DType::int32 || !is_float(c.dtype(1))) {
            c.fail(fmt::format("expected int32 ids and a float table, got {} and {}",
                               name(c.dtype(0)), name(c.dtype(1))));
          }
          if (c.input(1).rank() != 2) {
            c.fail(fmt::format("expected a table [V, C], got {}", to_string(c.input(1))));
          }
          c.output(with_width(c.input(0), c.input(1)[1]), c.dtype(1));
        },
    .forward =
        [](const ForwardContext& c) {
          const TensorView &ids = c.input(0), &weight = c.input(1);
          check_ids(ids, weight.shape[0]);
          const auto* id = ids.as<const int32_t>();
          const auto bytes = static_cast<size_t>(weight.shape[1] * size_of(weight.dtype));
          const auto* from = weight.as<const std::byte>();
          auto* to = c.output().as<std::byte>();
          over_ranges(c, ids.size(), weight.shape[1], [&](int64_t begin, int64_t end) {
            if (bytes == 0) return;
            for (int64_t i = begin; i < end; ++i) {
              std::memcpy(to + static_cast<size_t>(i) * bytes,
                          from + static_cast<size_t>(id[i]) * bytes, bytes);
            }
          });
        },
    .gradient =
        [](GradientContext& c) {
          c.input_grad(1) = record(embedding_grad_op, {c.input(0), c.output_grad()},
                                   EmbeddingGradAttributes{c.input(1).size(0)});
        },
    .bytes = [](const ForwardContext& c) {  // reads a few rows of the table, not all of it
      const TensorView& y = c.output();
      return 2.0 * static_cast<double>(y.size() * size_of(y.dtype));
    }};

}  // namespace

Var embedding(const Arg& ids, const Arg& weight) { return record(embedding_op, {ids, weight}); }

}  // namespace rapt

#include "ops/shape/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "framework/core/error.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct EmbeddingAttributes {
  int64_t turned;  // 1 if the two axes of the ids have been swapped
};

struct EmbeddingGradAttributes {
  int64_t rows;  // number of rows of the table
};

void check_ids(const TensorView& ids, int64_t rows, bool turned) {
  const auto* id = ids.as<const int32_t>();
  const int64_t count = ids.size();
  for (int64_t i = 0; i < count; ++i) {
    if (id[i] >= 0 && id[i] < rows) continue;
    const int64_t width = ids.shape.rank() > 0 ? ids.shape[-1] : 1;
    throw Error(fmt::format(
        "id {} at {} is outside a table of {} rows", id[i],
        turned ? fmt::format("position [{}, {}]", i % width, i / width) : position_in(ids.shape, i),
        rows));
  }
}

Shape with_width(const Shape& ids, int64_t width) {
  Shape shape = ids;
  shape.push_back(width);
  return shape;
}

/// A row with more uses than this is summed in double, because a long sum in float loses digits.
constexpr int64_t often = 2048;

/// Sums in double for those of the table's rows [begin, end) that are used often.
class OftenNamed {
 public:
  OftenNamed(const int32_t* ids, int64_t count, int64_t begin, int64_t end, int64_t width)
      : begin_(begin), width_(width) {
    if (count <= often) return;
    std::vector<int64_t> uses(static_cast<size_t>(end - begin), 0);
    for (int64_t i = 0; i < count; ++i) {
      if (ids[i] >= begin && ids[i] < end) ++uses[static_cast<size_t>(ids[i] - begin)];
    }
    for (size_t row = 0; row < uses.size(); ++row) {
      if (uses[row] <= often) continue;
      place_.resize(uses.size(), -1);
      place_[row] = static_cast<int64_t>(sums_.size());
      sums_.resize(sums_.size() + static_cast<size_t>(width), 0);
    }
  }

  /// Returns the place where the row's sum is accumulated, or null if the row is not used often.
  double* sum_of(int64_t row) {
    const int64_t place = place_.empty() ? -1 : place_[static_cast<size_t>(row - begin_)];
    return place < 0 ? nullptr : sums_.data() + place;
  }

  template <class T>
  void write(T* table) const {
    for (size_t row = 0; row < place_.size(); ++row) {
      if (place_[row] < 0) continue;
      T* to = table + (begin_ + static_cast<int64_t>(row)) * width_;
      for (int64_t j = 0; j < width_; ++j) {
        to[j] = static_cast<T>(sums_[static_cast<size_t>(place_[row] + j)]);
      }
    }
  }

 private:
  int64_t begin_, width_;
  std::vector<int64_t> place_;  // by row: offset in sums_, or -1; empty if no row is used often
  std::vector<double> sums_;
};

// dweight[v] = sum of g[i] over the positions i with ids[i] = v. Each task owns a range of the
// table's rows and scans all ids for them. So no two tasks write to one row, and every row's sum is
// added in the order of the positions.
constinit const Op embedding_grad_op{
    .name = "embedding_grad",
    .shape =
        [](ShapeContext& c) {
          const int64_t rows = c.attributes<EmbeddingGradAttributes>().rows;
          c.output({rows, c.input(1)[-1]}, c.dtype(1));
        },
    .gradient =
        [](GradientContext& c) { c.input_grad(1) = embedding(c.input(0), c.output_grad()); },
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const auto* ids = c.input(0).as<const int32_t>();
        const auto* g = c.input(1).as<const T>();
        auto* out = c.output().as<T>();
        const int64_t count = c.input(0).size();
        const int64_t rows = c.output().shape[0], width = c.output().shape[1];
        // At most 64 ranges, because each range scans all ids.
        const int64_t step = std::max(
            {int64_t{1}, (int64_t{1} << 17) / std::max<int64_t>(width, 1), (rows + 63) / 64});
        c.parallel((rows + step - 1) / step, [&](int64_t part) {
          const int64_t begin = part * step, end = std::min(rows, begin + step);
          std::fill(out + begin * width, out + end * width, T(0));
          OftenNamed sums(ids, count, begin, end, width);
          for (int64_t i = 0; i < count; ++i) {
            if (ids[i] < begin || ids[i] >= end) continue;
            T* to = out + ids[i] * width;
            const T* from = g + i * width;
            if (double* sum = sums.sum_of(ids[i])) {
              for (int64_t j = 0; j < width; ++j) sum[j] += static_cast<double>(from[j]);
            } else {
              for (int64_t j = 0; j < width; ++j) to[j] += from[j];
            }
          }
          sums.write(out);
        });
      });
    }}};

// y[i] = weight[ids[i]]
constinit const Op embedding_op{
    .name = "embedding",
    .shape =
        [](ShapeContext& c) {
          if (c.dtype(0) != DType::int32 || !is_float(c.dtype(1))) {
            c.fail(fmt::format("expected int32 ids and a float table, got {} and {}",
                               name(c.dtype(0)), name(c.dtype(1))),
                   ErrorKind::type);
          }
          if (c.input(1).rank() != 2) {
            c.fail(fmt::format("expected a table [V, C], got {}", to_string(c.input(1))));
          }
          c.output(with_width(c.input(0), c.input(1)[1]), c.dtype(1));
        },
    .gradient =
        [](GradientContext& c) {
          c.input_grad(1) = record(embedding_grad_op, {c.input(0), c.output_grad()},
                                   EmbeddingGradAttributes{c.input(1).size(0)});
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  const TensorView &ids = c.input(0), &weight = c.input(1);
                  check_ids(ids, weight.shape[0], c.attributes<EmbeddingAttributes>().turned != 0);
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
            .bytes = [](const ForwardContext& c) {  // reads a few rows of the table, not all of it
              const TensorView& y = c.output();
              return 2.0 * static_cast<double>(y.size() * size_of(y.dtype));
            }}};

}  // namespace

Var embedding(const Arg& ids, const Arg& weight) {
  return record(embedding_op, {ids, weight}, EmbeddingAttributes{0});
}

Var embedding_by_steps(const Arg& ids, const Arg& weight) {
  const Arg turned(transpose(ids, 0, 1), ids.where);
  return record(embedding_op, {turned, weight}, EmbeddingAttributes{1});
}

}  // namespace v0
}  // namespace rapt
